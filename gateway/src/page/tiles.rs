//! All platforms of the catalogue, always: those that can be connected, those that the plan lacks, those to come.

use super::face::glyph;
use super::reader::Reader;
use super::shell::Facts;

/// A platform to add.
pub(crate) struct Tile {
    pub(crate) platform: String,
    pub(crate) title: String,
    pub(crate) short_title: String,
    pub(crate) glyph: String,
    /// `available`, `full`, `plan_locked`, `coming_soon` or `read_only`.
    pub(crate) state: &'static str,
    /// Cannot be connected on any plan yet.
    pub(crate) soon: bool,
    /// The reader asked to be told when it can be connected.
    pub(crate) awaited: bool,
    /// Title of the plan it needs.
    pub(crate) plan: String,
    /// Ways to connect it.
    pub(crate) methods: usize,
}

/// The plan's limit is reached.
pub(crate) struct Limit {
    pub(crate) text: String,
    pub(crate) used: String,
    /// Where a reader who may change the plan does so.
    pub(crate) plans: Option<String>,
}

/// "1 of 1 accounts used"; nothing without a limit.
pub(crate) fn used(facts: &Facts, reader: &Reader) -> Option<String> {
    let entitlements = facts.entitlements.as_ref()?;
    let max = entitlements.accounts.max?;
    Some((reader.t.list.used)(entitlements.accounts.used, max))
}

/// Set when no further account can be connected.
pub(crate) fn limit(facts: &Facts, reader: &Reader) -> Option<Limit> {
    let entitlements = facts.entitlements.as_ref()?;
    let (used, max) = (entitlements.accounts.used, entitlements.accounts.max?);
    (used >= max).then(|| Limit::of(used, max, &entitlements.plan_title, reader))
}

impl Limit {
    /// The limit of the plan with this title, as the reader is told of it.
    pub(crate) fn of(used: i64, max: i64, plan: &str, reader: &Reader) -> Self {
        Self {
            text: (reader.t.plan.limit_reached)(max, plan),
            used: (reader.t.list.used_on)(used, max, plan),
            plans: reader.owns().then(|| reader.lens.links.billing()),
        }
    }
}

/// Tiles in the catalogue's order, those of the plan first.
pub(crate) fn tiles(facts: &Facts, reader: &Reader) -> Vec<Tile> {
    let is_full = limit(facts, reader).is_some();
    let catalogue = &reader.lens.catalogue;
    let mut tiles: Vec<Tile> = catalogue
        .platforms
        .iter()
        .map(|platform| {
            let listed = facts
                .entitlements
                .as_ref()
                .and_then(|e| e.platforms.iter().find(|p| p.platform == platform.id));
            let availability = listed.map_or(
                if platform.connectable {
                    "available"
                } else {
                    "coming_soon"
                },
                |p| p.availability,
            );
            // In the plan, and nobody set up an app for it.
            let is_offered = platform.connectable || availability != "available";
            let availability = if is_offered { availability } else { "coming_soon" };
            let plan = listed.and_then(|p| p.required_plan.as_deref()).unwrap_or_default();
            Tile {
                platform: platform.id.clone(),
                title: platform.title.clone(),
                short_title: platform.short_title.clone(),
                glyph: glyph(&platform.id),
                state: match availability {
                    "available" if !reader.manages() => "read_only",
                    "available" if is_full => "full",
                    other => other,
                },
                soon: !platform.connectable,
                awaited: reader.waits_for.contains(&platform.id),
                plan: catalogue.plan_title(plan).to_owned(),
                methods: platform.connectors.len(),
            }
        })
        .collect();
    tiles.sort_by_key(|tile| (tile.soon, matches!(tile.state, "plan_locked" | "coming_soon")));
    tiles
}
