//! The picture of an account: its avatar, its initials until that is loaded, the platform's glyph.

use crate::view::AccountView;

/// A face of an account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Face {
    pub(crate) initials: String,
    pub(crate) url: String,
    /// Name of a symbol in the sprite.
    pub(crate) glyph: String,
}

impl Face {
    /// The face of an account.
    pub(crate) fn of(account: &AccountView) -> Self {
        Self {
            initials: initials(&account.display_name),
            url: account.avatar_url.clone(),
            glyph: glyph(&account.platform),
        }
    }
}

/// Symbol of a platform in the sprite.
pub(crate) fn glyph(platform: &str) -> String {
    format!("p-{platform}")
}

/// First letters of the first two words.
pub(crate) fn initials(name: &str) -> String {
    let letters = name
        .split_whitespace()
        .filter_map(|word| word.chars().find(|letter| letter.is_alphanumeric()));
    letters.take(2).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::initials;

    #[test]
    fn initials_are_letters_whatever_the_name_is_made_of() {
        assert_eq!(initials("Acme Bakery"), "AB");
        assert_eq!(initials("<script> alert(1)"), "SA");
        assert_eq!(initials("★"), "");
        assert_eq!(initials("مخبز أكمي"), "مأ");
    }
}
