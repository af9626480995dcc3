//! The one catalogue of what the page says, typed: a sentence that a language lacks, or a fact that it forgets to name,
//! does not compile. The product's exact sentences live in [`en`]; server-made sentences of toasts live in `view::text`.
//!
//! Fields that take facts are functions; plural forms are chosen inside them ([`plural`]).

mod ar;
mod en;
pub(crate) mod plural;

use crate::view::Locale;

/// A sentence about one thing.
pub(crate) type About = fn(&str) -> String;
/// A sentence about two things.
pub(crate) type About2 = fn(&str, &str) -> String;
/// A sentence with a number.
pub(crate) type Counted = fn(i64) -> String;

/// All sentences in one language.
pub(crate) struct Texts {
    pub(crate) locale: Locale,
    pub(crate) shell: Shell,
    pub(crate) time: TimeWords,
    pub(crate) health: Health,
    pub(crate) act: Act,
    pub(crate) list: List,
    pub(crate) panel: Panel,
    pub(crate) connect: Connect,
    pub(crate) plan: Plan,
    pub(crate) pages: Pages,
    pub(crate) compose: Compose,
    pub(crate) help: Help,
    pub(crate) error: ErrorTexts,
    pub(crate) tour: Tour,
}

/// The frame around every page.
pub(crate) struct Shell {
    pub(crate) navigation: &'static str,
    pub(crate) overview: &'static str,
    pub(crate) composer: &'static str,
    pub(crate) create: &'static str,
    pub(crate) connections: &'static str,
    pub(crate) notifications: &'static str,
    pub(crate) plans: &'static str,
    pub(crate) support: &'static str,
    pub(crate) more: &'static str,
    pub(crate) skip: &'static str,
    pub(crate) skip_content: &'static str,
    pub(crate) workspace: &'static str,
    pub(crate) demo: &'static str,
    pub(crate) demo_person: &'static str,
    pub(crate) demo_role: &'static str,
    pub(crate) demo_plan: &'static str,
    pub(crate) demo_apply: &'static str,
    pub(crate) language: &'static str,
    pub(crate) switch: &'static str,
    pub(crate) sign_out: &'static str,
    pub(crate) sign_out_everywhere: &'static str,
    pub(crate) signed_out: &'static str,
    pub(crate) owner: &'static str,
    pub(crate) admin: &'static str,
    pub(crate) member: &'static str,
    pub(crate) need_attention: Counted,
    pub(crate) unread: Counted,
    pub(crate) offline: About,
    pub(crate) offline_button: &'static str,
    pub(crate) updated: Counted,
}

/// Names of days and months and how they are put together.
pub(crate) struct TimeWords {
    pub(crate) days: [&'static str; 7],
    pub(crate) months: [&'static str; 12],
    pub(crate) today: About,
    pub(crate) yesterday: About,
    pub(crate) just_now: &'static str,
    pub(crate) minutes_ago: Counted,
    pub(crate) hours_ago: Counted,
    pub(crate) days_ago: Counted,
    pub(crate) in_days: Counted,
}

/// Health, its reasons, its neutral remarks.
pub(crate) struct Health {
    pub(crate) healthy: &'static str,
    pub(crate) healthy_meaning: &'static str,
    pub(crate) checking: &'static str,
    pub(crate) amber: &'static str,
    pub(crate) amber_meaning: &'static str,
    pub(crate) ready: &'static str,
    pub(crate) checked: About,
    pub(crate) token_expired: &'static str,
    pub(crate) token_expired_ago: About,
    pub(crate) refresh_failed: &'static str,
    pub(crate) refresh_failed_last: About,
    pub(crate) permission_missing: About,
    pub(crate) permission_unknown: &'static str,
    pub(crate) access_removed: About,
    pub(crate) access_removed_on: About2,
    pub(crate) password_changed: About,
    pub(crate) old_method: &'static str,
    pub(crate) role_lost: &'static str,
    pub(crate) checkpoint: About,
    pub(crate) other: &'static str,
    pub(crate) blocks: &'static str,
    pub(crate) still_works: &'static str,
    /// Of `publish`, `schedule`, `comments`, `analytics`, `posts`.
    pub(crate) effect: fn(&str) -> &str,
    /// Plain words of a permission, from the catalogue's English ones.
    pub(crate) permission: fn(&str) -> &str,
    pub(crate) and: &'static str,
    pub(crate) expiring: About,
    pub(crate) delayed: About2,
    pub(crate) attempt_failed: fn(i32, Option<&str>) -> String,
}

/// Buttons and links.
pub(crate) struct Act {
    pub(crate) create_post: &'static str,
    pub(crate) create_a_post: &'static str,
    pub(crate) details: &'static str,
    pub(crate) reconnect: &'static str,
    pub(crate) reconnect_meta: &'static str,
    pub(crate) how_to_fix: &'static str,
    pub(crate) open_platform: About,
    pub(crate) disconnect: &'static str,
    pub(crate) ask_admin: &'static str,
    pub(crate) asked: &'static str,
    pub(crate) support: &'static str,
    pub(crate) refresh: &'static str,
    pub(crate) connect_account: &'static str,
    pub(crate) connect: &'static str,
    pub(crate) try_again: &'static str,
    pub(crate) cancel: &'static str,
    pub(crate) close: &'static str,
    pub(crate) dismiss: &'static str,
    pub(crate) see_plans: &'static str,
    pub(crate) ask_owner: &'static str,
    /// "Acme Bakery on Instagram"
    pub(crate) account_on: About2,
}

/// The list of accounts.
pub(crate) struct List {
    pub(crate) accounts: Counted,
    pub(crate) attention: Counted,
    pub(crate) needs_attention: &'static str,
    pub(crate) healthy: &'static str,
    pub(crate) add: &'static str,
    pub(crate) who_adds: &'static str,
    pub(crate) all: &'static str,
    pub(crate) filter: &'static str,
    pub(crate) search: &'static str,
    pub(crate) no_match: &'static str,
    pub(crate) show_all: &'static str,
    pub(crate) next: &'static str,
    pub(crate) banner: Counted,
    pub(crate) banner_risk: fn(i64, Option<&str>) -> String,
    pub(crate) bulk: fn(i64, &str) -> String,
    pub(crate) at_risk: fn(i64, Option<&str>) -> String,
    pub(crate) used: fn(i64, i64) -> String,
    pub(crate) used_on: fn(i64, i64, &str) -> String,
    pub(crate) empty: &'static str,
    pub(crate) empty_hint: &'static str,
    pub(crate) unknown_account: &'static str,
    pub(crate) check_started: &'static str,
    pub(crate) check_recent: &'static str,
    pub(crate) pull: &'static str,
    pub(crate) release: &'static str,
    pub(crate) checking: &'static str,
    pub(crate) disconnected: About,
    pub(crate) revoked: About,
    pub(crate) revoking: About,
    pub(crate) shared: About,
    pub(crate) not_revoked: About2,
    pub(crate) plan_locked: &'static str,
}

/// The detail panel and the question before a disconnect.
pub(crate) struct Panel {
    pub(crate) why: &'static str,
    pub(crate) connection: &'static str,
    pub(crate) platform: &'static str,
    pub(crate) username: &'static str,
    pub(crate) connected: &'static str,
    pub(crate) by: About2,
    pub(crate) last_refresh: &'static str,
    pub(crate) no_refresh: &'static str,
    pub(crate) next_refresh: &'static str,
    pub(crate) expires: &'static str,
    pub(crate) refreshed: &'static str,
    pub(crate) refreshes_itself: About,
    pub(crate) expires_then: About,
    pub(crate) publish: &'static str,
    pub(crate) can_publish: &'static str,
    pub(crate) cannot: &'static str,
    pub(crate) cannot_needs: About,
    /// Of `publish_problem`.
    pub(crate) problem: fn(&str) -> Option<&'static str>,
    pub(crate) limited: About,
    pub(crate) posts: &'static str,
    pub(crate) posts_loading: &'static str,
    pub(crate) posts_none: &'static str,
    pub(crate) posts_show: &'static str,
    pub(crate) posts_failed: &'static str,
    pub(crate) posts_remembered: &'static str,
    pub(crate) reactions: Counted,
    pub(crate) comments: Counted,
    pub(crate) shares: Counted,
    pub(crate) permissions: &'static str,
    pub(crate) granted: &'static str,
    pub(crate) missing: &'static str,
    pub(crate) history: &'static str,
    pub(crate) history_none: &'static str,
    /// Kind of event, who, (attempt, of).
    pub(crate) event: fn(&str, &str, Option<(i64, i64)>) -> String,
    /// Where the platform lists our app.
    pub(crate) hint: About,
    pub(crate) disconnect_title: About,
    pub(crate) disconnect_facts: [&'static str; 3],
}

/// Connecting and reconnecting.
pub(crate) struct Connect {
    pub(crate) asks_for: fn(&str, i64) -> String,
    pub(crate) keep: About,
    pub(crate) method: &'static str,
    pub(crate) method_instagram: &'static str,
    pub(crate) method_facebook: &'static str,
    pub(crate) waiting: About,
    pub(crate) open_again: &'static str,
    pub(crate) still_waiting: &'static str,
    pub(crate) closed_it: &'static str,
    pub(crate) blocked: &'static str,
    pub(crate) never_stored: &'static str,
    pub(crate) choose: About,
    pub(crate) choose_hint: &'static str,
    pub(crate) choose_submit: &'static str,
    pub(crate) already: &'static str,
    pub(crate) skipped: &'static str,
    pub(crate) connected: About,
    pub(crate) connected_many: Counted,
    pub(crate) reconnected: About,
    pub(crate) safe_again: Counted,
    pub(crate) still_amber: About2,
    pub(crate) cancelled: &'static str,
    pub(crate) expired: &'static str,
    pub(crate) wrong_account: About2,
    pub(crate) denied: About,
    pub(crate) denied_all: About,
    pub(crate) limit: Counted,
    pub(crate) failed: &'static str,
    pub(crate) unavailable: About,
    pub(crate) no_destinations: About,
    pub(crate) close_window: &'static str,
    pub(crate) you_are_connected: &'static str,
    pub(crate) back_where_started: &'static str,
    pub(crate) shows_the_result: &'static str,
    pub(crate) return_to: &'static str,
    pub(crate) working: &'static str,
}

/// Plans and what they allow.
pub(crate) struct Plan {
    pub(crate) coming_soon: &'static str,
    pub(crate) coming_soon_long: About,
    pub(crate) notify_me: &'static str,
    pub(crate) awaited: &'static str,
    pub(crate) available_on: About,
    pub(crate) platform_on: About2,
    pub(crate) limit_reached: fn(i64, &str) -> String,
    pub(crate) limit_hint: &'static str,
    pub(crate) title: &'static str,
    pub(crate) current: &'static str,
    pub(crate) accounts: Counted,
    pub(crate) unlimited: &'static str,
    pub(crate) switch: About,
    pub(crate) usage: &'static str,
    pub(crate) owner_only: &'static str,
    pub(crate) managed: &'static str,
    pub(crate) choose: &'static str,
    pub(crate) choose_hint: fn(i64) -> String,
    pub(crate) choose_save: &'static str,
    pub(crate) and_soon: About,
}

/// Overview and notifications.
pub(crate) struct Pages {
    pub(crate) accounts: &'static str,
    pub(crate) manage: &'static str,
    pub(crate) total: &'static str,
    pub(crate) risk: &'static str,
    pub(crate) no_risk: &'static str,
    pub(crate) no_notifications: &'static str,
    pub(crate) no_notifications_hint: &'static str,
    pub(crate) mark_read: &'static str,
    pub(crate) new: &'static str,
}

/// The composer.
pub(crate) struct Compose {
    pub(crate) title: &'static str,
    pub(crate) from: &'static str,
    pub(crate) choose: &'static str,
    pub(crate) change: &'static str,
    pub(crate) text: &'static str,
    pub(crate) image: &'static str,
    pub(crate) image_optional: &'static str,
    pub(crate) image_needed: About,
    pub(crate) publish: &'static str,
    pub(crate) published: About,
    pub(crate) see_post: &'static str,
    pub(crate) cannot: About,
    pub(crate) none: &'static str,
    pub(crate) empty_text: &'static str,
}

/// The support page and the answers in place.
pub(crate) struct Help {
    pub(crate) title: &'static str,
    pub(crate) lead: &'static str,
    pub(crate) what_we_know: &'static str,
    pub(crate) message: &'static str,
    pub(crate) message_hint: &'static str,
    pub(crate) copy: &'static str,
    pub(crate) copied: &'static str,
    pub(crate) answers: &'static str,
    pub(crate) questions: [(&'static str, &'static str); 5],
    pub(crate) message_start: About,
}

/// When something goes wrong.
pub(crate) struct ErrorTexts {
    pub(crate) load: &'static str,
    pub(crate) request_id: &'static str,
    pub(crate) not_found: &'static str,
    pub(crate) not_found_hint: &'static str,
    pub(crate) forbidden: &'static str,
    pub(crate) forbidden_hint: &'static str,
    pub(crate) signed_out: &'static str,
    pub(crate) signed_out_hint: &'static str,
    pub(crate) sign_in: &'static str,
    pub(crate) back: &'static str,
    pub(crate) network: &'static str,
}

/// The tour of a first visit.
pub(crate) struct Tour {
    pub(crate) steps: [(&'static str, &'static str); 4],
    pub(crate) next: &'static str,
    pub(crate) skip: &'static str,
    pub(crate) finish: &'static str,
    pub(crate) step: fn(i64, i64) -> String,
}

/// The catalogue in the reader's language.
pub(crate) fn texts(locale: Locale) -> &'static Texts {
    match locale {
        Locale::English => &en::TEXTS,
        Locale::Arabic => &ar::TEXTS,
    }
}
