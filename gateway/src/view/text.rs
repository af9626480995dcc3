//! Sentences that people read in toasts, notifications and reasons. The English ones are part of the product's promise:
//! clients and tests compare them letter for letter.

use proto::accounts::v1::Reason;

/// Languages that sentences exist in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Locale {
    /// English, also for every language we lack.
    #[default]
    English,
    /// Arabic, written from right to left.
    Arabic,
}

impl Locale {
    /// From a language tag (`ar-EG`) or an `Accept-Language` list: the first language that we have.
    pub fn parse(tags: &str) -> Self {
        let known = tags.split(',').find_map(|tag| match tag.trim().get(..2) {
            Some(language) if language.eq_ignore_ascii_case("ar") => Some(Self::Arabic),
            Some(language) if language.eq_ignore_ascii_case("en") => Some(Self::English),
            _ => None,
        });
        known.unwrap_or_default()
    }

    /// BCP 47.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Arabic => "ar",
        }
    }

    /// Writing direction, as HTML's `dir`.
    pub fn direction(self) -> &'static str {
        match self {
            Self::English => "ltr",
            Self::Arabic => "rtl",
        }
    }
}

/// The sentence of a toast or notification; `None` for kinds that show none.
pub(super) fn message(kind: &str, account: &str, actor: &str, locale: Locale) -> Option<String> {
    let text = match (kind, locale) {
        ("token_refreshed", Locale::English) => format!("Access token refreshed for {account}"),
        ("token_refreshed", Locale::Arabic) => format!("تم تجديد رمز الوصول لحساب {account}"),
        ("reconnect_required", Locale::English) => format!("Please reconnect {account}"),
        ("reconnect_required", Locale::Arabic) => format!("يرجى إعادة ربط {account}"),
        ("token_expired", Locale::English) => format!("{account} expired. Please reconnect."),
        ("token_expired", Locale::Arabic) => format!("انتهت صلاحية {account}. يرجى إعادة الربط."),
        ("reconnect_requested", Locale::English) => format!("{} asks to reconnect {account}", somebody(actor)),
        ("reconnect_requested", Locale::Arabic) => format!("طلب {actor} إعادة ربط {account}"),
        _ => return None,
    };
    Some(text)
}

fn somebody(actor: &str) -> &str {
    if actor.is_empty() { "Somebody" } else { actor }
}

/// One sentence for a reason, without times: those are in fields of their own.
pub(super) fn reason(reason: &Reason, platform: &str) -> String {
    let permissions = || {
        reason
            .permissions
            .iter()
            .map(|p| p.label.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (reason.code.as_str(), reason.detail.as_str()) {
        ("token_expired", _) => "Token expired".to_owned(),
        ("refresh_failed", _) => "Automatic refresh failed 3 times".to_owned(),
        ("permission_missing", _) if !reason.permissions.is_empty() => {
            format!("Permission missing: {}", permissions())
        }
        ("permission_missing", _) => "A permission is missing".to_owned(),
        ("access_revoked", "password_changed") => format!("The password on {platform} was changed"),
        ("access_revoked", _) => format!("Access was removed on {platform}"),
        ("publish_capability_missing", _) => "Connected with an older method that cannot publish".to_owned(),
        ("platform_role_lost", _) => "You are no longer an admin of this Page".to_owned(),
        ("platform_checkpoint", _) => format!("{platform} asks you to confirm your identity there first"),
        _ => "Reconnect required".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Locale, message};

    #[test]
    fn the_three_toasts_read_exactly_as_promised() {
        let text = |kind| message(kind, "Acme Bakery", "", Locale::English).unwrap();
        assert_eq!(text("token_refreshed"), "Access token refreshed for Acme Bakery");
        assert_eq!(text("reconnect_required"), "Please reconnect Acme Bakery");
        assert_eq!(text("token_expired"), "Acme Bakery expired. Please reconnect.");
    }

    #[test]
    fn the_first_language_that_we_have_wins() {
        assert_eq!(Locale::parse("fr-FR, ar;q=0.8, en;q=0.5"), Locale::Arabic);
        assert_eq!(Locale::parse("de"), Locale::English);
    }
}
