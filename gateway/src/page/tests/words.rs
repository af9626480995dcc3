//! Sentences that are exact, and the closed list of amber reasons.

use askama::Template;
use kit::Role;
use proto::accounts::v1::{Channel, ConnectSession, Intent, Problem, ScheduledPosts, SessionStatus};

use super::reader::{NOW, connections, facts, reader, text};
use crate::page::card::Card;
use crate::page::reader::Reader;
use crate::page::texts::texts;
use crate::page::{connect, disconnect, outcome, question, samples, shell, tiles};
use crate::view::{self, Locale};

fn card(code: &str, platform: &str) -> Card {
    let reader = reader(Role::Owner, Locale::English);
    let account = samples::healthy("50", platform, "Acme Bakery", "acmebakery", NOW);
    let mut account = samples::amber(account, samples::reason(code), 0, NOW);
    account.token_expires_at_ms = NOW - 2 * 86_400_000;
    Card::of(&view::account(&account, &reader.lens), &reader)
}

#[test]
fn every_amber_reason_has_its_sentence_and_its_button() {
    for (code, platform, sentence, button) in [
        ("token_expired", "facebook", "Token expired 2 days ago", "Reconnect"),
        (
            "refresh_failed",
            "instagram",
            "Automatic refresh failed 3 times (last: 20 Nov 14:05)",
            "Reconnect",
        ),
        (
            "permission_missing",
            "instagram",
            "Permission missing: publish content",
            "Reconnect",
        ),
        (
            "access_revoked",
            "facebook",
            "Access was removed on Facebook on 20 Nov",
            "Reconnect",
        ),
        (
            "publish_capability_missing",
            "instagram",
            "Connected with an older method that cannot publish",
            "Reconnect with Meta",
        ),
        (
            "platform_role_lost",
            "facebook",
            "You are no longer an admin of this Page",
            "See how to fix",
        ),
        (
            "platform_checkpoint",
            "instagram",
            "Instagram asks you to confirm your identity there first",
            "Open Instagram",
        ),
    ] {
        let card = card(code, platform);
        assert_eq!(card.why.as_ref().unwrap().sentence, sentence);
        let shown = card
            .fix
            .as_ref()
            .map_or(card.reconnect_label.clone(), |fix| fix.label.clone());
        assert_eq!(shown, button, "{code}");
        assert!(card.can_reconnect, "{code}: reconnecting is always possible");
    }
}

#[test]
fn a_permission_says_what_it_blocks_and_what_still_works() {
    let why = card("permission_missing", "instagram").why.unwrap();
    assert_eq!(
        (why.blocks.as_str(), why.works.as_str()),
        ("publishing, scheduling", "comments, analytics")
    );
}

#[test]
fn notices_are_neutral_lines_under_a_green_dot() {
    let page = text(&connections(
        "professional",
        &samples::accounts(NOW)[10..14],
        None,
        &reader(Role::Owner, Locale::English),
    ));
    assert!(page.contains("Could not reach Instagram at 14:02. Status unchanged."));
    assert!(page.contains("Refresh attempt 1 of 3 failed. Next try Mon 14:05."));
    assert!(page.contains("Expires Fri 14:05."));
    assert!(!page.contains("Needs reconnect"));
}

#[test]
fn health_is_told_in_words_with_their_meaning() {
    let html = connections(
        "professional",
        &samples::accounts(NOW)[..8],
        None,
        &reader(Role::Owner, Locale::English),
    );
    assert!(html.contains("Token is valid, all permissions granted, ready to publish"));
    assert!(html.contains("Token has expired or permissions are missing — reconnect required"));
    assert_eq!(html.matches("data-status>Needs reconnect<").count(), 7);
    assert_eq!(html.matches("data-status>Healthy<").count(), 1);
    assert_eq!(
        html.matches("class=\"dot ").count(),
        9,
        "one dot an account and one in the banner"
    );
}

#[test]
fn the_question_before_a_disconnect_names_the_account_and_says_the_three_truths() {
    let reader = reader(Role::Owner, Locale::English);
    let ask = disconnect::question("acc_1", "Acme Bakery", "Instagram", &reader);
    let facts = facts("free", &[], &reader);
    let shell = shell::Shell::new(&reader, &facts, "connections", "");
    let page = text(&question::Page { shell, ask: &ask }.render().unwrap());
    for sentence in [
        "Disconnect Acme Bakery on Instagram?",
        "Published post data and analytics remain in your workspace",
        "You can no longer publish to or manage the account",
        "Reconnect the same account later to restore access",
    ] {
        assert!(page.contains(sentence), "{sentence}");
    }
}

#[test]
fn the_prompt_for_a_better_plan_has_a_button_for_the_owner_alone() {
    let ask = |role| {
        let reader = reader(role, Locale::English);
        let facts = facts("free", &[], &reader);
        let tile = tiles::tiles(&facts, &reader)
            .into_iter()
            .find(|tile| tile.platform == "tiktok")
            .unwrap();
        connect::prompt(&tile, &facts, &reader)
    };
    let owner = ask(Role::Owner);
    assert_eq!(owner.title, "TikTok is available on Professional and above.");
    assert!(owner.lines.contains(&"Available on Professional and above".to_owned()));
    assert_eq!(owner.link.unwrap().label, "See plans");
    let admin = ask(Role::Admin);
    assert!(admin.link.is_none() && admin.lines.contains(&"Ask the workspace owner".to_owned()));
}

#[test]
fn a_blocked_pop_up_is_told_exactly() {
    let page = connections("free", &[], None, &reader(Role::Owner, Locale::English));
    assert!(page.contains("Your browser may be blocking pop-ups. Allow pop-ups for Socializioz and try again."));
}

fn session(status: SessionStatus, problem: Option<(&str, &[(&str, &str)])>) -> ConnectSession {
    let problem = problem.map(|(code, params)| Problem {
        code: code.into(),
        detail: String::new(),
        params: params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    });
    ConnectSession {
        id: "cs_1".into(),
        intent: Intent::Reconnect.into(),
        channel: Channel::Popup.into(),
        platform: "instagram".into(),
        account_ids: vec!["acc_50".into()],
        status: status.into(),
        problem,
        ..ConnectSession::default()
    }
}

fn told(session: &ConnectSession, reader: &Reader) -> String {
    let note = outcome::note(session, reader).unwrap();
    [vec![note.text], note.lines].concat().join(" · ")
}

#[test]
fn how_a_sign_in_ended_is_told_with_names_and_with_what_it_saved() {
    let reader = reader(Role::Owner, Locale::English);
    let wrong = (
        "wrong-platform-account",
        &[("actual", "@dana"), ("expected", "@acmebakery")][..],
    );
    let failed = |problem| told(&session(SessionStatus::Failed, Some(problem)), &reader);
    assert_eq!(
        failed(wrong),
        "You signed in as @dana, this card is @acmebakery. Nothing changed."
    );
    let missing = failed(("permissions-denied", &[("missing", "instagram_content_publish")]));
    assert!(missing.starts_with("Permission missing: publish content."), "{missing}");
    assert!(failed(("account-limit-reached", &[("limit", "5")])).starts_with("Your plan allows 5 accounts."));
    assert!(told(&session(SessionStatus::Cancelled, None), &reader).contains("Nothing changed."));
    let mut done = session(SessionStatus::Completed, None);
    let mut account = samples::healthy("50", "instagram", "Acme Bakery", "acmebakery", NOW);
    account.scheduled = Some(ScheduledPosts {
        count: 4,
        next_at_ms: NOW,
    });
    done.accounts = vec![account.clone()];
    assert_eq!(
        told(&done, &reader),
        "Acme Bakery is reconnected · 4 posts are safe again"
    );
    done.accounts = vec![samples::amber(account, samples::reason("permission_missing"), 4, NOW)];
    assert_eq!(
        told(&done, &reader),
        "Acme Bakery still needs reconnect. Permission missing: publish content."
    );
}

#[test]
fn sentences_of_both_languages_name_what_they_are_given() {
    for locale in [Locale::English, Locale::Arabic] {
        let t = texts(locale);
        let told = [
            (t.act.account_on)("NAME", "PLACE"),
            (t.connect.wrong_account)("NAME", "PLACE"),
            (t.health.access_removed_on)("NAME", "PLACE"),
            (t.connect.still_amber)("NAME", "PLACE"),
            (t.panel.by)("NAME", "PLACE"),
            (t.plan.platform_on)("NAME", "PLACE"),
        ];
        for sentence in told {
            assert!(sentence.contains("NAME") && sentence.contains("PLACE"), "{sentence}");
        }
    }
}

#[test]
fn english_counts_in_one_and_many() {
    let t = texts(Locale::English);
    assert_eq!((t.list.attention)(1), "1 needs attention");
    assert_eq!((t.list.attention)(2), "2 need attention");
    assert_eq!(
        (t.list.at_risk)(4, Some("Mon 09:00")),
        "4 scheduled posts at risk · next Mon 09:00"
    );
    assert_eq!((t.connect.safe_again)(1), "1 post is safe again");
    assert_eq!(
        (t.list.banner_risk)(6, Some("Mon 09:00")),
        "6 scheduled posts will fail if nothing changes, the first on Mon 09:00."
    );
}
