//! The tour of a first visit.

use crate::page::texts::Texts;

/// What the four steps of the tour point at; the first that is there counts.
const TOUR_TARGETS: [&str; 4] = [
    "#accounts .group",
    ".card .status",
    ".card h3",
    "#connect-account, #add .tiles",
];

/// A step of the tour.
pub(crate) struct Step {
    pub(crate) target: &'static str,
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
    pub(crate) number: String,
}

/// Its steps, in order.
pub(super) fn steps(t: &Texts) -> Vec<Step> {
    let steps = t.tour.steps.into_iter().zip(TOUR_TARGETS).zip(1..);
    steps
        .map(|(((title, text), target), n)| Step {
            target,
            title,
            text,
            number: (t.tour.step)(n, 4),
        })
        .collect()
}
