//! Plural forms: two in English, six in Arabic (CLDR). Called by the catalogues only.

/// The English form of a number.
pub(crate) fn english<'a>(n: i64, one: &'a str, other: &'a str) -> &'a str {
    if n == 1 { one } else { other }
}

/// Forms of an Arabic noun; `#` stands for the number, where the form shows it.
pub(crate) struct Arabic {
    pub(crate) zero: &'static str,
    pub(crate) one: &'static str,
    pub(crate) two: &'static str,
    /// 3–10, 103–110, …
    pub(crate) few: &'static str,
    /// 11–99, 111–199, …
    pub(crate) many: &'static str,
    /// 100–102, 200–202, …
    pub(crate) other: &'static str,
}

impl Arabic {
    /// The form for `n`, with the number filled in.
    pub(crate) fn of(&self, n: i64) -> String {
        let form = match (n, n.rem_euclid(100)) {
            (0, _) => self.zero,
            (1, _) => self.one,
            (2, _) => self.two,
            (_, 3..=10) => self.few,
            (_, 11..=99) => self.many,
            _ => self.other,
        };
        form.replace('#', &n.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arabic_has_six_forms_and_the_hundreds_start_again() {
        let forms = Arabic {
            zero: "z",
            one: "1",
            two: "2",
            few: "f#",
            many: "m#",
            other: "o#",
        };
        let shown = [0, 1, 2, 3, 10, 11, 99, 100, 102, 103, 111].map(|n| forms.of(n));
        assert_eq!(
            shown,
            ["z", "1", "2", "f3", "f10", "m11", "m99", "o100", "o102", "f103", "m111"]
        );
    }
}
