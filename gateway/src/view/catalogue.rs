//! What platforms and plans there are, as platforms and entitlements told it.

use proto::entitlements::v1::Plan;
use proto::platforms::v1::{Connector, Platform};

/// A snapshot of both catalogues.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// In the order that people see them.
    pub platforms: Vec<Platform>,
    /// Cheapest first.
    pub plans: Vec<Plan>,
}

impl Catalogue {
    /// The platform of this id.
    pub fn platform(&self, id: &str) -> Option<&Platform> {
        self.platforms.iter().find(|platform| platform.id == id)
    }

    /// The connector of this id, of whichever platform.
    pub fn connector(&self, id: &str) -> Option<&Connector> {
        self.platforms
            .iter()
            .flat_map(|platform| &platform.connectors)
            .find(|connector| connector.id == id)
    }

    /// Name for sentences: "X"; the id itself when the catalogue does not know it.
    pub fn short_title<'a>(&'a self, id: &'a str) -> &'a str {
        self.platform(id).map_or(id, |platform| &platform.short_title)
    }

    /// Title of a plan by its name.
    pub fn plan_title<'a>(&'a self, name: &'a str) -> &'a str {
        self.plans
            .iter()
            .find(|plan| plan.name == name)
            .map_or(name, |plan| &plan.title)
    }

    /// The cheapest plan that has the platform, or will have it.
    pub fn min_plan(&self, platform: &str) -> Option<&Plan> {
        let lists = |plan: &&Plan| plan.platforms.iter().chain(&plan.coming_soon).any(|id| id == platform);
        self.plans.iter().find(lists)
    }
}
