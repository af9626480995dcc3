//! Arabic. Names of people and accounts are set apart ([`name`]), so that Latin names do not turn the sentence around.

use super::plural::Arabic;
use super::{Act, Compose, Connect, ErrorTexts, Health, Help, List, Pages, Panel, Plan, Shell, Texts, TimeWords, Tour};
use crate::view::Locale;

pub(super) static TEXTS: Texts = Texts {
    locale: Locale::Arabic,
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

/// First-strong isolate … pop: what is inside keeps its own direction and leaves the sentence's alone.
fn name(text: &str) -> String {
    format!("\u{2068}{text}\u{2069}")
}

const ACCOUNTS: Arabic = Arabic {
    zero: "لا حسابات",
    one: "حساب واحد",
    two: "حسابان",
    few: "# حسابات",
    many: "# حسابًا",
    other: "# حساب",
};
const POSTS: Arabic = Arabic {
    zero: "لا منشورات مجدولة",
    one: "منشور مجدول واحد",
    two: "منشوران مجدولان",
    few: "# منشورات مجدولة",
    many: "# منشورًا مجدولًا",
    other: "# منشور مجدول",
};
const MINUTES: Arabic = Arabic {
    zero: "الآن",
    one: "قبل دقيقة واحدة",
    two: "قبل دقيقتين",
    few: "قبل # دقائق",
    many: "قبل # دقيقة",
    other: "قبل # دقيقة",
};
const HOURS: Arabic = Arabic {
    zero: "الآن",
    one: "قبل ساعة واحدة",
    two: "قبل ساعتين",
    few: "قبل # ساعات",
    many: "قبل # ساعة",
    other: "قبل # ساعة",
};
const DAYS: Arabic = Arabic {
    zero: "اليوم",
    one: "قبل يوم واحد",
    two: "قبل يومين",
    few: "قبل # أيام",
    many: "قبل # يومًا",
    other: "قبل # يوم",
};
const IN_DAYS: Arabic = Arabic {
    zero: "اليوم",
    one: "خلال يوم واحد",
    two: "خلال يومين",
    few: "خلال # أيام",
    many: "خلال # يومًا",
    other: "خلال # يوم",
};
const REACTIONS: Arabic = Arabic {
    zero: "لا تفاعلات",
    one: "تفاعل واحد",
    two: "تفاعلان",
    few: "# تفاعلات",
    many: "# تفاعلًا",
    other: "# تفاعل",
};
const COMMENTS: Arabic = Arabic {
    zero: "لا تعليقات",
    one: "تعليق واحد",
    two: "تعليقان",
    few: "# تعليقات",
    many: "# تعليقًا",
    other: "# تعليق",
};
const SHARES: Arabic = Arabic {
    zero: "لا مشاركات",
    one: "مشاركة واحدة",
    two: "مشاركتان",
    few: "# مشاركات",
    many: "# مشاركة",
    other: "# مشاركة",
};
const PERMISSIONS: Arabic = Arabic {
    zero: "لا أذونات",
    one: "إذنًا واحدًا",
    two: "إذنين",
    few: "# أذونات",
    many: "# إذنًا",
    other: "# إذن",
};

const SHELL: Shell = Shell {
    navigation: "التنقل الرئيسي",
    overview: "نظرة عامة",
    composer: "إنشاء المنشورات",
    create: "إنشاء",
    connections: "الحسابات المرتبطة",
    notifications: "الإشعارات",
    plans: "الخطط والفوترة",
    support: "الدعم",
    more: "المزيد",
    skip: "انتقل إلى الحسابات",
    skip_content: "انتقل إلى المحتوى",
    workspace: "مساحة العمل",
    demo: "وضع العرض: تصرّف كشخص آخر",
    demo_person: "الشخص",
    demo_role: "الدور",
    demo_plan: "الخطة",
    demo_apply: "تبديل",
    language: "اللغة",
    switch: "تبديل",
    sign_out: "تسجيل الخروج",
    sign_out_everywhere: "تسجيل الخروج من كل الأجهزة",
    signed_out: "تم تسجيل خروجك",
    owner: "المالك",
    admin: "مشرف",
    member: "عضو",
    need_attention: |n| format!("{} بحاجة إلى انتباه", ACCOUNTS.of(n)),
    unread: |n| format!("غير مقروء: {n}"),
    offline: |time| format!("غير متصل — تُعرض الحالات كما كانت عند {time}"),
    offline_button: "غير متاح دون اتصال",
    updated: |n| format!("تم تحديث {}", ACCOUNTS.of(n)),
};

const TIME: TimeWords = TimeWords {
    days: ["الاثنين", "الثلاثاء", "الأربعاء", "الخميس", "الجمعة", "السبت", "الأحد"],
    months: [
        "يناير",
        "فبراير",
        "مارس",
        "أبريل",
        "مايو",
        "يونيو",
        "يوليو",
        "أغسطس",
        "سبتمبر",
        "أكتوبر",
        "نوفمبر",
        "ديسمبر",
    ],
    today: |time| format!("اليوم {time}"),
    yesterday: |time| format!("أمس {time}"),
    just_now: "الآن",
    minutes_ago: |n| MINUTES.of(n),
    hours_ago: |n| HOURS.of(n),
    days_ago: |n| DAYS.of(n),
    in_days: |n| IN_DAYS.of(n),
};

const HEALTH: Health = Health {
    healthy: "سليم",
    healthy_meaning: "الرمز صالح وجميع الأذونات ممنوحة وجاهز للنشر",
    checking: "جارٍ الفحص…",
    amber: "يحتاج إلى إعادة الربط",
    amber_meaning: "انتهت صلاحية الرمز أو تنقص أذونات — إعادة الربط مطلوبة",
    ready: "جاهز للنشر",
    checked: |ago| format!("آخر فحص {ago}"),
    token_expired: "انتهت صلاحية الرمز",
    token_expired_ago: |ago| format!("انتهت صلاحية الرمز {ago}"),
    refresh_failed: "فشل التجديد التلقائي 3 مرات",
    refresh_failed_last: |last| format!("فشل التجديد التلقائي 3 مرات (آخرها: {last})"),
    permission_missing: |what| format!("إذن ناقص: {}", name(what)),
    permission_unknown: "هناك إذن ناقص",
    access_removed: |platform| format!("أُزيل الوصول على {}", name(platform)),
    access_removed_on: |platform, day| format!("أُزيل الوصول على {} في {day}", name(platform)),
    password_changed: |platform| format!("تغيّرت كلمة المرور على {}", name(platform)),
    old_method: "مرتبط بطريقة قديمة لا يمكنها النشر",
    role_lost: "لم تعد مشرفًا على هذه الصفحة",
    checkpoint: |platform| format!("يطلب {} أن تؤكد هويتك هناك أولًا", name(platform)),
    other: "إعادة الربط مطلوبة",
    blocks: "يمنع",
    still_works: "ما زال يعمل",
    effect: |code| match code {
        "publish" => "النشر",
        "schedule" => "الجدولة",
        "comments" => "التعليقات",
        "analytics" => "التحليلات",
        "posts" => "المنشورات الأخيرة",
        other => other,
    },
    permission: |label| match label {
        "publish content" => "نشر المحتوى",
        "publish to the Page" => "النشر على الصفحة",
        "reply to comments" => "الرد على التعليقات",
        "analytics" => "التحليلات",
        "read posts and comments" => "قراءة المنشورات والتعليقات",
        "see business assets" => "رؤية أصول النشاط التجاري",
        "publish videos" => "نشر مقاطع الفيديو",
        "post as you" => "النشر باسمك",
        "post as the company" => "النشر باسم الشركة",
        other => other,
    },
    and: "، ",
    expiring: |when| format!("تنتهي الصلاحية {when}. أعد الربط قبل ذلك."),
    delayed: |platform, time| {
        format!(
            "تعذّر الوصول إلى {} عند {time}. الحالة كما هي، وستُعاد المحاولة تلقائيًا.",
            name(platform)
        )
    },
    attempt_failed: |n, next| match next {
        Some(next) => format!("فشلت محاولة التجديد {n} من 3. المحاولة التالية {next}."),
        None => format!("فشلت محاولة التجديد {n} من 3. ستُعاد المحاولة تلقائيًا."),
    },
};

const ACT: Act = Act {
    create_post: "إنشاء منشور",
    create_a_post: "إنشاء منشور",
    details: "عرض التفاصيل",
    reconnect: "إعادة الربط",
    reconnect_meta: "إعادة الربط عبر Meta",
    how_to_fix: "كيفية الإصلاح",
    open_platform: |platform| format!("افتح {}", name(platform)),
    disconnect: "قطع الربط",
    ask_admin: "اطلب من مشرف إعادة الربط",
    asked: "طُلب من المالك والمشرفين إعادة الربط.",
    support: "الإصلاح بمساعدة الدعم الذكي",
    refresh: "تحديث",
    connect_account: "ربط حساب",
    connect: "ربط",
    try_again: "حاول مرة أخرى",
    cancel: "إلغاء",
    close: "إغلاق",
    dismiss: "إخفاء",
    see_plans: "عرض الخطط",
    ask_owner: "اسأل مالك مساحة العمل",
    account_on: |account, platform| format!("{} على {}", name(account), name(platform)),
};

const LIST: List = List {
    accounts: |n| ACCOUNTS.of(n),
    attention: |n| format!("{} بحاجة إلى انتباه", ACCOUNTS.of(n)),
    needs_attention: "بحاجة إلى انتباه",
    healthy: "سليمة",
    add: "إضافة حساب",
    who_adds: "يربط الحساباتِ مالكُ مساحة العمل ومشرفوها. اسأل أحدهم.",
    all: "الكل",
    filter: "تصفية الحسابات",
    search: "البحث في الحسابات",
    no_match: "لا يوجد حساب مطابق.",
    show_all: "عرض كل الحسابات",
    next: "عرض المزيد من الحسابات",
    banner: |n| format!("{} بحاجة إلى إعادة الربط.", ACCOUNTS.of(n)),
    banner_risk: |n, first| match first {
        Some(when) => format!("سيفشل {} إن لم يتغير شيء، وأولها {when}.", POSTS.of(n)),
        None => format!("سيفشل {} إن لم يتغير شيء.", POSTS.of(n)),
    },
    bulk: |n, provider| format!("إعادة ربط {} بتسجيل دخول واحد إلى {}", ACCOUNTS.of(n), name(provider)),
    at_risk: |n, next| match next {
        Some(next) => format!("{} معرّض للخطر · التالي {next}", POSTS.of(n)),
        None => format!("{} معرّض للخطر", POSTS.of(n)),
    },
    used: |used, max| format!("تم استخدام {used} من {max} حسابات"),
    used_on: |used, max, plan| format!("تم استخدام {used} من {max} حسابات في خطة {}", name(plan)),
    empty: "لا توجد حسابات مرتبطة بعد.",
    empty_hint: "اربط الحسابات التي تنشر عليها مساحة العمل. يتم تسجيل الدخول لدى المنصة نفسها.",
    unknown_account: "هذا الحساب ليس في مساحة العمل هذه. ربما فُتح من مساحة عمل أخرى.",
    check_started: "يجري فحص كل الحسابات. تتغير الحالات هنا عندما تجيب المنصات.",
    check_recent: "تم الفحص قبل لحظات. الحالات محدّثة.",
    pull: "اسحب للتحديث",
    release: "اترك للتحديث",
    checking: "جارٍ فحص الحسابات…",
    disconnected: |account| format!("تم قطع ربط {}.", name(account)),
    revoked: |platform| format!("أُلغي الوصول أيضًا لدى {}.", name(platform)),
    revoking: |platform| format!("يجري إلغاء الوصول لدى {}.", name(platform)),
    shared: |platform| {
        format!(
            "يبقى الوصول لدى {} لأن حسابات أخرى تستخدم تسجيل الدخول نفسه.",
            name(platform)
        )
    },
    not_revoked: |platform, hint| format!("لإزالة التطبيق لدى {} أيضًا: {}.", name(platform), name(hint)),
    plan_locked: "مقفل بحسب الخطة",
};

const PANEL: Panel = Panel {
    why: "السبب",
    connection: "الربط",
    platform: "المنصة",
    username: "اسم المستخدم",
    connected: "تاريخ الربط",
    by: |day, who| format!("{day} بواسطة {}", name(who)),
    last_refresh: "آخر تجديد للرمز",
    no_refresh: "لم يحدث بعد",
    next_refresh: "التجديد التالي",
    expires: "تنتهي الصلاحية",
    refreshed: "تم التجديد",
    refreshes_itself: |day| format!("يتجدد تلقائيًا في {day}"),
    expires_then: |days| format!("تنتهي الصلاحية {days}، وعندها تلزم إعادة الربط"),
    publish: "إمكانية النشر",
    can_publish: "يمكنه استقبال المنشورات",
    cannot: "لا يمكنه استقبال المنشورات",
    cannot_needs: |what| format!("لا يمكنه استقبال المنشورات (يلزم: {})", name(what)),
    problem: |code| match code {
        "permission_missing" => Some("إذن نشر المحتوى ناقص"),
        "publish_capability_missing" => Some("مرتبط بطريقة قديمة لا يمكنها النشر"),
        "platform_role_lost" => Some("لم تعد مشرفًا على هذه الصفحة"),
        "plan_locked" => Some("لم تعد خطتك تشمل هذا الحساب"),
        "disconnected" => Some("هذا الحساب غير مرتبط"),
        "token" => Some("انتهى تسجيل الدخول: أعد ربط الحساب أولًا"),
        _ => None,
    },
    limited: |what| format!("محدود: بلا {}", name(what)),
    posts: "المنشورات الأخيرة",
    posts_loading: "جارٍ تحميل المنشورات الأخيرة",
    posts_none: "لم يُنشر شيء عبر هذا الحساب بعد.",
    posts_show: "عرض المنشورات الأخيرة",
    posts_failed: "تعذّر تحميل المنشورات الأخيرة.",
    posts_remembered: "تعذّر سؤال المنصة الآن. هذه هي المنشورات المحفوظة لدينا.",
    reactions: |n| REACTIONS.of(n),
    comments: |n| COMMENTS.of(n),
    shares: |n| SHARES.of(n),
    permissions: "الأذونات",
    granted: "ممنوح",
    missing: "ناقص",
    history: "السجل",
    history_none: "لم يحدث شيء بعد.",
    event,
    hint: |place| format!("هل ينقطع الربط باستمرار؟ انظر في {}.", name(place)),
    disconnect_title: |account| format!("قطع ربط {}؟", name(account)),
    disconnect_facts: [
        "تبقى بيانات المنشورات والتحليلات في مساحة العمل",
        "لن تتمكن بعد الآن من النشر على الحساب أو إدارته",
        "أعد ربط الحساب نفسه لاحقًا لاستعادة الوصول",
    ],
};

fn event(kind: &str, who: &str, attempt: Option<(i64, i64)>) -> String {
    let by = |what: &str| {
        if who.is_empty() {
            what.to_owned()
        } else {
            format!("{what} بواسطة {}", name(who))
        }
    };
    match (kind, attempt) {
        ("account.connected", _) => by("تم الربط"),
        ("account.reconnected", _) => by("أُعيد الربط"),
        ("account.disconnected", _) => by("قُطع الربط"),
        ("account.token_refreshed", _) => "تم تجديد رمز الوصول".into(),
        ("account.refresh_attempt_failed", Some((n, of))) => format!("فشلت محاولة التجديد {n} من {of}"),
        ("account.refresh_attempt_failed", None) => "فشلت محاولة التجديد".into(),
        ("account.reconnect_required", _) => "يحتاج إلى إعادة الربط".into(),
        ("account.expired", _) => "انتهت صلاحية الرمز".into(),
        ("account.expiring_soon", _) => "تنتهي صلاحية الرمز قريبًا".into(),
        ("account.health_changed", _) => "تغيّرت الحالة".into(),
        _ => "تم تحديث البيانات".into(),
    }
}

const CONNECT: Connect = Connect {
    asks_for: |platform, n| format!("سيطلب {} {}.", name(platform), PERMISSIONS.of(n)),
    keep: |what| format!("أبقِ «{what}» محددًا، فقد كان غير محدد في المرة السابقة."),
    method: "كيف تسجّل الدخول؟",
    method_instagram: "باستخدام Instagram",
    method_facebook: "عبر صفحة Facebook",
    waiting: |platform| format!("في انتظار {}…", name(platform)),
    open_again: "افتح النافذة مرة أخرى",
    still_waiting: "ما زلنا ننتظر…",
    closed_it: "أغلقتها",
    blocked: "قد يحظر متصفحك النوافذ المنبثقة. اسمح بها لموقع Socializioz ثم حاول مرة أخرى.",
    never_stored: "لا تُحفظ كلمة مرورك أبدًا.",
    choose: |platform| format!("اختر ما تريد ربطه من {}", name(platform)),
    choose_hint: "يصبح كل منها حسابًا في مساحة العمل هذه. يمكنك اختيار أكثر من واحد.",
    choose_submit: "ربط المحدد",
    already: "مرتبط بالفعل",
    skipped: "لا يمكن ربطها",
    connected: |account| format!("تم ربط {}", name(account)),
    connected_many: |n| format!("تم ربط {}", ACCOUNTS.of(n)),
    reconnected: |account| format!("أُعيد ربط {}", name(account)),
    safe_again: |n| format!("{} في أمان من جديد", POSTS.of(n)),
    still_amber: |account, reason| format!("ما زال {} يحتاج إلى إعادة الربط. {reason}.", name(account)),
    cancelled: "أُلغي تسجيل الدخول. لم يتغير شيء.",
    expired: "استغرق تسجيل الدخول وقتًا طويلًا وانتهى. لم يتغير شيء.",
    wrong_account: |actual, expected| {
        format!(
            "سجّلت الدخول باسم {}، وهذه البطاقة للحساب {}. لم يتغير شيء.",
            name(actual),
            name(expected)
        )
    },
    denied: |missing| format!("إذن ناقص: {}. اسمح به لدى المنصة ثم حاول مرة أخرى.", name(missing)),
    denied_all: |platform| format!("لم يمنح {} الوصول. لم يتغير شيء.", name(platform)),
    limit: |max| format!("تسمح خطتك بعدد: {}. لم يُربط الحساب الجديد.", ACCOUNTS.of(max)),
    failed: "لم ينجح تسجيل الدخول. لم يتغير شيء.",
    unavailable: |platform| format!("تعذّر الوصول إلى {}. لم يتغير شيء. حاول بعد بضع دقائق.", name(platform)),
    no_destinations: |platform| format!("لم يعرض {} شيئًا يمكن ربطه بهذا الدخول.", name(platform)),
    close_window: "يمكنك إغلاق هذه النافذة.",
    you_are_connected: "تم الربط.",
    back_where_started: "عُد إلى حيث بدأت",
    shows_the_result: "يعرض التطبيق أو النافذة التي أتيت منها نتيجة تسجيل الدخول.",
    return_to: "العودة إلى Socializioz",
    working: "يجري إكمال تسجيل الدخول…",
};

const PLAN: Plan = Plan {
    coming_soon: "قريبًا",
    notify_me: "أعلمني",
    awaited: "سنعلمك عند إطلاقه.",
    coming_soon_long: |platform| format!("لا يمكن ربط {} بعد.", name(platform)),
    available_on: |plan| format!("متاح في خطة {} وما فوقها", name(plan)),
    platform_on: |platform, plan| format!("{} متاح في خطة {} وما فوقها.", name(platform), name(plan)),
    limit_reached: |max, plan| format!("بلغت حد الخطة: تسمح {} بعدد: {}.", name(plan), ACCOUNTS.of(max)),
    limit_hint: "إعادة ربط حساب ممكنة دائمًا.",
    title: "الخطط والفوترة",
    current: "الخطة الحالية",
    accounts: |n| ACCOUNTS.of(n),
    unlimited: "حسابات بلا حد",
    switch: |plan| format!("الانتقال إلى {}", name(plan)),
    usage: "الحسابات المستخدمة",
    owner_only: "مالك مساحة العمل وحده يمكنه تغيير الخطة.",
    managed: "يغيّر الخطة من يدير هذا النظام.",
    choose: "اختر الحسابات التي تبقى نشطة",
    choose_hint: |max| format!("تشمل خطتك {}. تبقى الأخرى مقفلة ولا يُحذف شيء.", ACCOUNTS.of(max)),
    choose_save: "حفظ الاختيار",
    and_soon: |list| format!("قريبًا: {list}"),
};

const PAGES: Pages = Pages {
    accounts: "الحسابات المرتبطة",
    manage: "إدارة الحسابات",
    total: "الحسابات",
    risk: "منشورات مجدولة معرّضة للخطر",
    no_risk: "لا شيء",
    no_notifications: "لا توجد إشعارات بعد.",
    no_notifications_hint: "عندما يُجدَّد حساب أو يحتاج إليك، يُسجَّل ذلك هنا.",
    mark_read: "وضع علامة مقروء",
    new: "جديد",
};

const COMPOSE: Compose = Compose {
    title: "إنشاء منشور",
    from: "النشر باسم",
    choose: "اختر حسابًا",
    change: "تغيير",
    text: "النص",
    image: "عنوان صورة (https)",
    image_optional: "اختياري.",
    image_needed: |platform| format!("يحتاج {} إلى صورة.", name(platform)),
    publish: "نشر الآن",
    published: |account| format!("تم النشر على {}.", name(account)),
    see_post: "عرض المنشور",
    cannot: |why| format!("لا يمكن لهذا الحساب النشر الآن. {why}."),
    none: "اربط حسابًا أولًا ثم أنشئ منشورًا.",
    empty_text: "اكتب شيئًا أولًا.",
};

const HELP: Help = Help {
    title: "الإصلاح بمساعدة الدعم الذكي",
    lead: "راجع ما كُتب أدناه وأرسله إلى الدعم، أو خذ الإجابة المناسبة.",
    what_we_know: "ما نعرفه",
    message: "رسالتك",
    message_hint: "مملوءة من بيانات الحساب. لا تحتوي على كلمة مرور ولا رمز.",
    copy: "نسخ الرسالة",
    copied: "تم النسخ",
    answers: "إجابات سريعة",
    questions: [
        (
            "رُبط الحساب حديثًا وحالته برتقالية",
            "تذكر البطاقة السبب: أُزيل الوصول على المنصة أو تغيّرت كلمة المرور أو أُوقف إذن. أعد الربط واترك كل الأذونات محددة.",
        ),
        (
            "لا يمكن ربط حساب جديد",
            "ربما بلغت عدد الحسابات في الخطة. تعرض صفحة الحسابات العدد المستخدم، ويغيّر المالك الخطة في الخطط والفوترة.",
        ),
        (
            "تُغلق نافذة تسجيل الدخول أو لا تُفتح",
            "قد يحظر متصفحك النوافذ المنبثقة. اسمح بها لموقع Socializioz ثم حاول مرة أخرى. دونها يستمر تسجيل الدخول في علامة التبويب نفسها.",
        ),
        (
            "لا يستطيع Instagram النشر",
            "رُبط الحساب بطريقة قديمة لا يمكنها النشر. افتح تفاصيله واختر إعادة الربط عبر Meta، وتبقى منشوراته وسجله.",
        ),
        (
            "ينقطع ربط حساب باستمرار",
            "تعرض تفاصيله السجل. تحقق لدى المنصة من أن التطبيق ما زال مسموحًا: Facebook > Settings > Business Integrations.",
        ),
    ],
    message_start: |account| format!("يحتاج {} إلى مساعدة.", name(account)),
};

const ERROR: ErrorTexts = ErrorTexts {
    load: "تعذّر تحميل الحسابات.",
    request_id: "رقم الطلب",
    not_found: "هذه الصفحة غير موجودة",
    not_found_hint: "ربما نُقلت، أو أنها تخص مساحة عمل أخرى.",
    forbidden: "لا يمكنك القيام بذلك",
    forbidden_hint: "يمكن ذلك لمالك مساحة العمل ومشرفيها. اسأل أحدهم.",
    signed_out: "انتهت صلاحية تسجيل دخولك",
    signed_out_hint: "سجّل الدخول مرة أخرى للمتابعة من حيث كنت. لم يُفقد شيء.",
    sign_in: "تسجيل الدخول",
    back: "العودة إلى الحسابات المرتبطة",
    network: "تعذّر الوصول إلى الخادم. لم يتغير شيء.",
};

const TOUR: Tour = Tour {
    steps: [
        (
            "حساباتك",
            "كل حساب مرتبط في مساحة العمل بطاقة، وما يحتاج إليك يظهر في الأعلى.",
        ),
        (
            "الحالة بلمحة",
            "الأخضر جاهز للنشر. البرتقالي يحتاج إلى إعادة الربط، والبطاقة تذكر السبب.",
        ),
        ("التفاصيل", "افتح بطاقة لرؤية منشوراتها وأذوناتها وسجلها."),
        (
            "إضافة حساب",
            "اربط حسابًا آخر هنا. تسجّل الدخول لدى المنصة ولا تُحفظ كلمة مرورك أبدًا.",
        ),
    ],
    next: "التالي",
    skip: "تخطي الجولة",
    finish: "تم",
    step: |n, of| format!("{n} من {of}"),
};
