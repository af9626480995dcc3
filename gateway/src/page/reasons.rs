//! Health in sentences: why an account is amber and the one step that helps; what is worth knowing while it is green.

use super::card::{Link, Why};
use super::reader::Reader;
use crate::view::{AccountView, NoticeView, Permission, ReasonView, Time};

/// The reason in one sentence, with what it blocks and what still works.
pub(crate) fn why(reason: &ReasonView, account: &AccountView, reader: &Reader) -> Why {
    let words = |codes: &[String]| {
        codes
            .iter()
            .map(|code| (reader.t.health.effect)(code))
            .collect::<Vec<_>>()
            .join(reader.t.health.and)
    };
    Why {
        sentence: sentence(reason, account, reader),
        blocks: words(&reason.blocks),
        works: words(&reason.still_works),
    }
}

fn sentence(reason: &ReasonView, account: &AccountView, reader: &Reader) -> String {
    let (words, since) = (&reader.t.health, account.health.since);
    let platform = reader.lens.catalogue.short_title(&account.platform);
    match (reason.code.as_str(), reason.detail.as_deref()) {
        ("token_expired", _) => {
            let ended = account
                .token
                .expires_at
                .filter(|at| at.ms() <= reader.calendar.now_ms)
                .or(since);
            reader.ago(ended).map_or(words.token_expired.to_owned(), |ago| {
                (words.token_expired_ago)(&ago.text)
            })
        }
        ("refresh_failed", _) => {
            let last = reader.moment(since);
            last.map_or(words.refresh_failed.to_owned(), |last| {
                (words.refresh_failed_last)(&last.text)
            })
        }
        ("permission_missing", _) if reason.permissions.is_empty() => words.permission_unknown.to_owned(),
        ("permission_missing", _) => (words.permission_missing)(&labels(&reason.permissions, reader)),
        ("access_revoked", Some("password_changed")) => (words.password_changed)(platform),
        ("access_revoked", _) => match since {
            Some(at) => (words.access_removed_on)(platform, &reader.calendar.day(at.ms()).text),
            None => (words.access_removed)(platform),
        },
        ("publish_capability_missing", _) => words.old_method.to_owned(),
        ("platform_role_lost", _) => words.role_lost.to_owned(),
        ("platform_checkpoint", _) => (words.checkpoint)(platform),
        _ => words.other.to_owned(),
    }
}

/// Permissions in plain words, comma separated.
pub(crate) fn labels(permissions: &[Permission], reader: &Reader) -> String {
    let mut words: Vec<&str> = permissions
        .iter()
        .map(|one| (reader.t.health.permission)(&one.label))
        .collect();
    words.dedup();
    words.join(reader.t.health.and)
}

/// The step that helps, where it is not a reconnect.
pub(crate) fn fix(reason: &ReasonView, account: &AccountView, reader: &Reader) -> Option<Link> {
    match reason.fix.kind.as_str() {
        "fix_role" => {
            let href = reader.lens.links.support(&account.id, &reason.code);
            Some(Link::new(reader.t.act.how_to_fix, href))
        }
        "open_platform" => {
            let name = reader.lens.catalogue.short_title(&account.platform);
            // Every platform of the catalogue lives at the .com of its id.
            let href = format!("https://www.{}.com/", account.platform);
            Some(Link {
                external: true,
                ..Link::new((reader.t.act.open_platform)(name), href)
            })
        }
        _ => None,
    }
}

/// A neutral remark.
pub(crate) fn notice(notice: &NoticeView, platform: &str, account: &AccountView, reader: &Reader) -> String {
    let words = &reader.t.health;
    let at = reader.moment(notice.at);
    match notice.code.as_str() {
        "expiring_soon" => (words.expiring)(&at.map(|at| at.text).unwrap_or_default()),
        "check_delayed" => {
            let tried = account
                .health
                .checked_at
                .or(notice.at)
                .map_or(reader.calendar.now_ms, Time::ms);
            (words.delayed)(platform, &reader.calendar.clock(tried))
        }
        _ => (words.attempt_failed)(notice.attempt.unwrap_or(1), at.as_ref().map(|at| at.text.as_str())),
    }
}

/// Why the account cannot receive posts; `None` when it can.
pub(crate) fn cannot_publish(account: &AccountView, reader: &Reader) -> Option<String> {
    if account.publish_capability.can_publish {
        return None;
    }
    let code = account.publish_capability.reason.as_deref().unwrap_or_default();
    let missing = account
        .health
        .reasons
        .iter()
        .find(|reason| reason.code == code && !reason.permissions.is_empty());
    Some(match (missing, (reader.t.panel.problem)(code)) {
        (Some(reason), _) => (reader.t.panel.cannot_needs)(&labels(&reason.permissions, reader)),
        (None, Some(problem)) => problem.to_owned(),
        (None, None) => reader.t.panel.cannot.to_owned(),
    })
}
