//! English. Sentences marked exact in the product's specification are tested letter for letter in `page::tests`.

use super::plural::english as s;
use super::{Act, Compose, Connect, ErrorTexts, Health, Help, List, Pages, Panel, Plan, Shell, Texts, TimeWords, Tour};
use crate::view::Locale;

pub(super) static TEXTS: Texts = Texts {
    locale: Locale::English,
    shell: SHELL,
    time: TIME,
    health: HEALTH,
    act: ACT,
    list: LIST,
    panel: PANEL,
    connect: CONNECT,
    plan: PLAN,
    pages: PAGES,
    compose: COMPOSE,
    help: HELP,
    error: ERROR,
    tour: TOUR,
};

const SHELL: Shell = Shell {
    navigation: "Main",
    overview: "Overview",
    composer: "Composer",
    create: "Create",
    connections: "Connections",
    notifications: "Notifications",
    plans: "Plans and billing",
    support: "Support",
    more: "More",
    skip: "Skip to accounts",
    skip_content: "Skip to content",
    workspace: "Workspace",
    demo: "Demo mode: act as somebody else",
    demo_person: "Person",
    demo_role: "Role",
    demo_plan: "Plan",
    demo_apply: "Switch",
    language: "Language",
    switch: "Switch",
    sign_out: "Sign out",
    sign_out_everywhere: "Sign out everywhere",
    signed_out: "You are signed out",
    owner: "Owner",
    admin: "Admin",
    member: "Member",
    need_attention: |n| format!("{n} {} attention", s(n, "needs", "need")),
    unread: |n| format!("{n} unread"),
    offline: |time| format!("Offline — showing statuses from {time}"),
    offline_button: "Not available while offline",
    updated: |n| format!("{n} {} updated", s(n, "account", "accounts")),
};

const TIME: TimeWords = TimeWords {
    days: ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
    months: [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ],
    today: |time| format!("today {time}"),
    yesterday: |time| format!("yesterday {time}"),
    just_now: "just now",
    minutes_ago: |n| format!("{n} min ago"),
    hours_ago: |n| format!("{n} {} ago", s(n, "hour", "hours")),
    days_ago: |n| format!("{n} {} ago", s(n, "day", "days")),
    in_days: |n| format!("in {n} {}", s(n, "day", "days")),
};

const HEALTH: Health = Health {
    healthy: "Healthy",
    healthy_meaning: "Token is valid, all permissions granted, ready to publish",
    checking: "Checking…",
    amber: "Needs reconnect",
    amber_meaning: "Token has expired or permissions are missing — reconnect required",
    ready: "Ready to publish",
    checked: |ago| format!("checked {ago}"),
    token_expired: "Token expired",
    token_expired_ago: |ago| format!("Token expired {ago}"),
    refresh_failed: "Automatic refresh failed 3 times",
    refresh_failed_last: |last| format!("Automatic refresh failed 3 times (last: {last})"),
    permission_missing: |what| format!("Permission missing: {what}"),
    permission_unknown: "A permission is missing",
    access_removed: |platform| format!("Access was removed on {platform}"),
    access_removed_on: |platform, day| format!("Access was removed on {platform} on {day}"),
    password_changed: |platform| format!("The password on {platform} was changed"),
    old_method: "Connected with an older method that cannot publish",
    role_lost: "You are no longer an admin of this Page",
    checkpoint: |platform| format!("{platform} asks you to confirm your identity there first"),
    other: "Reconnect required",
    blocks: "Blocks",
    still_works: "Still works",
    effect: |code| match code {
        "publish" => "publishing",
        "schedule" => "scheduling",
        "posts" => "recent posts",
        other => other,
    },
    permission: |label| label,
    and: ", ",
    expiring: |when| format!("Expires {when}. Reconnect before then."),
    delayed: |platform, time| {
        format!("Could not reach {platform} at {time}. Status unchanged. Trying again by itself.")
    },
    attempt_failed: |n, next| match next {
        Some(next) => format!("Refresh attempt {n} of 3 failed. Next try {next}."),
        None => format!("Refresh attempt {n} of 3 failed. Trying again by itself."),
    },
};

const ACT: Act = Act {
    create_post: "Create post",
    create_a_post: "Create a post",
    details: "View details",
    reconnect: "Reconnect",
    reconnect_meta: "Reconnect with Meta",
    how_to_fix: "See how to fix",
    open_platform: |platform| format!("Open {platform}"),
    disconnect: "Disconnect",
    ask_admin: "Ask an admin to reconnect",
    asked: "Owners and admins have been asked to reconnect.",
    support: "Fix with AI Support",
    refresh: "Refresh",
    connect_account: "Connect account",
    connect: "Connect",
    try_again: "Try again",
    cancel: "Cancel",
    close: "Close",
    dismiss: "Dismiss",
    see_plans: "See plans",
    ask_owner: "Ask the workspace owner",
    account_on: |name, platform| format!("{name} on {platform}"),
};

const LIST: List = List {
    accounts: |n| format!("{n} {}", s(n, "account", "accounts")),
    attention: |n| format!("{n} {} attention", s(n, "needs", "need")),
    needs_attention: "Needs attention",
    healthy: "Healthy",
    add: "Add an account",
    who_adds: "Owners and admins connect accounts. Ask one of them.",
    all: "All",
    filter: "Filter accounts",
    search: "Search accounts",
    no_match: "No account matches.",
    show_all: "Show all accounts",
    next: "Show more accounts",
    banner: |n| format!("{n} {} reconnecting.", s(n, "account needs", "accounts need")),
    banner_risk: |n, first| match (first, n) {
        (Some(when), 1) => format!("1 scheduled post will fail if nothing changes, {}.", on(when)),
        (Some(when), n) => format!(
            "{n} scheduled posts will fail if nothing changes, the first {}.",
            on(when)
        ),
        (None, n) => format!("{n} scheduled {} will fail if nothing changes.", s(n, "post", "posts")),
    },
    bulk: |n, provider| match n {
        2 => format!("Reconnect both with one {provider} sign-in"),
        n => format!("Reconnect {n} with one {provider} sign-in"),
    },
    at_risk: |n, next| {
        let posts = s(n, "post", "posts");
        next.map_or(format!("{n} scheduled {posts} at risk"), |next| {
            format!("{n} scheduled {posts} at risk · next {next}")
        })
    },
    used: |used, max| format!("{used} of {max} accounts used"),
    used_on: |used, max, plan| format!("{used} of {max} accounts used on {plan}"),
    empty: "No accounts connected yet.",
    empty_hint: "Connect the accounts that your workspace publishes to. You sign in at the platform.",
    unknown_account: "This account is not in this workspace. It may have been opened from another workspace.",
    check_started: "Checking all accounts. Statuses change here as the platforms answer.",
    check_recent: "Checked a moment ago. Statuses are up to date.",
    pull: "Pull to refresh",
    release: "Release to refresh",
    checking: "Checking accounts…",
    disconnected: |name| format!("{name} was disconnected."),
    revoked: |platform| format!("Access is also revoked at {platform}."),
    revoking: |platform| format!("Access is being revoked at {platform}."),
    shared: |platform| format!("Access at {platform} stays, other accounts use the same sign-in."),
    not_revoked: |platform, hint| format!("To remove the app at {platform} as well: {hint}."),
    plan_locked: "Locked by the plan",
};

/// "on Mon 09:00", but "today 09:00".
fn on(when: &str) -> String {
    if when.starts_with("today") {
        when.to_owned()
    } else {
        format!("on {when}")
    }
}

const PANEL: Panel = Panel {
    why: "Why",
    connection: "Connection",
    platform: "Platform",
    username: "Username",
    connected: "Connected",
    by: |day, name| format!("{day} by {name}"),
    last_refresh: "Last token refresh",
    no_refresh: "Not yet",
    next_refresh: "Next refresh",
    expires: "Expires",
    refreshed: "Refreshed",
    refreshes_itself: |day| format!("Refreshes by itself on {day}"),
    expires_then: |days| format!("Expires {days}, reconnect needed then"),
    publish: "Publish capability",
    can_publish: "Can receive published posts",
    cannot: "Cannot receive published posts",
    cannot_needs: |what| format!("Cannot receive published posts (needs: {what})"),
    problem: |code| match code {
        "permission_missing" => Some("permission to publish content"),
        "publish_capability_missing" => Some("Connected with an older method that cannot publish"),
        "platform_role_lost" => Some("You are no longer an admin of this Page"),
        "plan_locked" => Some("Your plan no longer covers this account"),
        "disconnected" => Some("This account is disconnected"),
        "token" => Some("The sign-in has ended: reconnect the account first"),
        _ => None,
    },
    limited: |what| format!("Limited: no {what}"),
    posts: "Recent posts",
    posts_loading: "Loading recent posts",
    posts_none: "Nothing published through this account yet.",
    posts_show: "Show recent posts",
    posts_failed: "Recent posts could not be loaded.",
    posts_remembered: "The platform could not be asked just now. These are the posts we remember.",
    reactions: |n| format!("{n} {}", s(n, "reaction", "reactions")),
    comments: |n| format!("{n} {}", s(n, "comment", "comments")),
    shares: |n| format!("{n} {}", s(n, "share", "shares")),
    permissions: "Permissions",
    granted: "Granted",
    missing: "Missing",
    history: "History",
    history_none: "Nothing has happened yet.",
    event,
    hint: |place| format!("Does it keep disconnecting? Look at {place}."),
    disconnect_title: |name| format!("Disconnect {name}?"),
    disconnect_facts: [
        "Published post data and analytics remain in your workspace",
        "You can no longer publish to or manage the account",
        "Reconnect the same account later to restore access",
    ],
};

fn event(kind: &str, who: &str, attempt: Option<(i64, i64)>) -> String {
    let by = |what: &str| {
        if who.is_empty() {
            what.to_owned()
        } else {
            format!("{what} by {who}")
        }
    };
    match (kind, attempt) {
        ("account.connected", _) => by("Connected"),
        ("account.reconnected", _) => by("Reconnected"),
        ("account.disconnected", _) => by("Disconnected"),
        ("account.token_refreshed", _) => "Access token refreshed".into(),
        ("account.refresh_attempt_failed", Some((n, of))) => format!("Refresh attempt {n} of {of} failed"),
        ("account.refresh_attempt_failed", None) => "Refresh attempt failed".into(),
        ("account.reconnect_required", _) => "Needs reconnect".into(),
        ("account.expired", _) => "Token expired".into(),
        ("account.expiring_soon", _) => "Token expires soon".into(),
        ("account.health_changed", _) => "Status changed".into(),
        _ => "Details updated".into(),
    }
}

const CONNECT: Connect = Connect {
    asks_for: |platform, n| format!("{platform} will ask for {n} {}.", s(n, "permission", "permissions")),
    keep: |what| format!("Keep “{what}” ticked, it was off last time."),
    method: "How do you sign in?",
    method_instagram: "With Instagram",
    method_facebook: "Through a Facebook Page",
    waiting: |platform| format!("Waiting for {platform}…"),
    open_again: "Open the window again",
    still_waiting: "Still waiting…",
    closed_it: "I closed it",
    blocked: "Your browser may be blocking pop-ups. Allow pop-ups for Socializioz and try again.",
    never_stored: "Your password is never stored.",
    choose: |platform| format!("Choose what to connect from {platform}"),
    choose_hint: "Each one becomes an account of this workspace. You can pick several.",
    choose_submit: "Connect selected",
    already: "Already connected",
    skipped: "Cannot be connected",
    connected: |name| format!("{name} is connected"),
    connected_many: |n| format!("{n} accounts are connected"),
    reconnected: |name| format!("{name} is reconnected"),
    safe_again: |n| format!("{n} {} safe again", s(n, "post is", "posts are")),
    still_amber: |name, reason| format!("{name} still needs reconnect. {reason}."),
    cancelled: "The sign-in was cancelled. Nothing changed.",
    expired: "The sign-in took too long and has ended. Nothing changed.",
    wrong_account: |actual, expected| format!("You signed in as {actual}, this card is {expected}. Nothing changed."),
    denied: |missing| format!("Permission missing: {missing}. Allow it at the platform and try again."),
    denied_all: |platform| format!("{platform} did not give access. Nothing changed."),
    limit: |max| {
        format!(
            "Your plan allows {max} {}. The new account was not connected.",
            s(max, "account", "accounts")
        )
    },
    failed: "The sign-in did not succeed. Nothing changed.",
    unavailable: |platform| format!("{platform} could not be reached. Nothing changed. Try again in a few minutes."),
    no_destinations: |platform| format!("{platform} showed nothing that could be connected with this sign-in."),
    close_window: "You can close this window.",
    you_are_connected: "You are connected.",
    back_where_started: "Go back to where you started",
    shows_the_result: "The app or window that you came from shows how the sign-in ended.",
    return_to: "Return to Socializioz",
    working: "The sign-in is being completed…",
};

const PLAN: Plan = Plan {
    coming_soon: "Coming soon",
    notify_me: "Notify me",
    awaited: "You will be notified when it launches.",
    coming_soon_long: |platform| format!("{platform} cannot be connected yet."),
    available_on: |plan| format!("Available on {plan} and above"),
    platform_on: |platform, plan| format!("{platform} is available on {plan} and above."),
    limit_reached: |max, plan| {
        format!(
            "Plan limit reached: {plan} allows {max} {}.",
            s(max, "account", "accounts")
        )
    },
    limit_hint: "Reconnecting an account is always possible.",
    title: "Plans and billing",
    current: "Current plan",
    accounts: |n| format!("{n} social {}", s(n, "account", "accounts")),
    unlimited: "Unlimited social accounts",
    switch: |plan| format!("Switch to {plan}"),
    usage: "Accounts in use",
    owner_only: "Only the workspace owner can change the plan.",
    managed: "The plan is changed by whoever runs this installation.",
    choose: "Choose which accounts stay active",
    choose_hint: |max| {
        format!(
            "Your plan covers {max} {}. The others stay locked, nothing is deleted.",
            s(max, "account", "accounts")
        )
    },
    choose_save: "Save choice",
    and_soon: |list| format!("Coming soon: {list}"),
};

const PAGES: Pages = Pages {
    accounts: "Connected accounts",
    manage: "Manage connections",
    total: "Accounts",
    risk: "Scheduled posts at risk",
    no_risk: "None",
    no_notifications: "No notifications yet.",
    no_notifications_hint: "When an account is refreshed or needs you, it is noted here.",
    mark_read: "Mark as read",
    new: "New",
};

const COMPOSE: Compose = Compose {
    title: "Create a post",
    from: "Publish as",
    choose: "Choose an account",
    change: "Change",
    text: "Text",
    image: "Address of an image (https)",
    image_optional: "Optional.",
    image_needed: |platform| format!("{platform} needs an image."),
    publish: "Publish now",
    published: |name| format!("Published to {name}."),
    see_post: "See the post",
    cannot: |why| format!("This account cannot publish now. {why}."),
    none: "Connect an account first, then create a post.",
    empty_text: "Write something first.",
};

const HELP: Help = Help {
    title: "Fix with AI Support",
    lead: "Check what is written below and send it to your support, or take the answer that fits.",
    what_we_know: "What is known",
    message: "Your message",
    message_hint: "Filled in from the account. It holds no password and no token.",
    copy: "Copy message",
    copied: "Copied",
    answers: "Quick answers",
    questions: [
        (
            "The account was connected recently and is amber already",
            "The card names the reason: access was removed on the platform, the password was changed, or a permission was switched off. Reconnect and leave every permission ticked.",
        ),
        (
            "A new account cannot be connected",
            "The plan's number of accounts may be reached. The Connections page shows how many are in use; the owner changes the plan under Plans and billing.",
        ),
        (
            "The sign-in window closes or never opens",
            "Your browser may be blocking pop-ups. Allow pop-ups for Socializioz and try again. Without a pop-up the sign-in goes on in the same tab.",
        ),
        (
            "Instagram cannot publish",
            "The account was connected with an older method that cannot publish. Open its details and choose Reconnect with Meta; it keeps its posts and history.",
        ),
        (
            "An account keeps disconnecting",
            "Its details show the history. Look at the platform whether the app is still allowed: Facebook > Settings > Business Integrations.",
        ),
    ],
    message_start: |account| format!("{account} needs help."),
};

const ERROR: ErrorTexts = ErrorTexts {
    load: "Could not load accounts.",
    request_id: "Request id",
    not_found: "This page does not exist",
    not_found_hint: "It may have been moved, or it belongs to another workspace.",
    forbidden: "You cannot do this",
    forbidden_hint: "Owners and admins of the workspace can. Ask one of them.",
    signed_out: "Your sign-in has expired",
    signed_out_hint: "Sign in again to go on where you were. Nothing is lost.",
    sign_in: "Sign in",
    back: "Back to Connections",
    network: "The server could not be reached. Nothing changed.",
};

const TOUR: Tour = Tour {
    steps: [
        (
            "Your accounts",
            "Every connected account of the workspace is a card. Those that need you stand at the top.",
        ),
        (
            "Health at a glance",
            "Green is ready to publish. Amber needs a reconnect, and the card says why.",
        ),
        ("Details", "Open a card for its posts, permissions and history."),
        (
            "Add an account",
            "Connect another account here. You sign in at the platform; your password is never stored.",
        ),
    ],
    next: "Next",
    skip: "Skip tour",
    finish: "Done",
    step: |n, of| format!("{n} of {of}"),
};
