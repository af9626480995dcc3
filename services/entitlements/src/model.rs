//! Plans and the pure rules over them: what a plan includes, and which accounts it covers.
//!
//! The catalogue is configuration; nothing here knows a plan or a platform by name.

use std::collections::{BTreeMap, BTreeSet};

use proto::entitlements::v1 as pb;
use serde::Deserialize;

/// One plan in the configuration: `[plans.<name>]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanSection {
    /// Name to show.
    pub title: String,
    /// Place in the list, cheapest first.
    pub order: i64,
    /// Most accounts that a workspace may hold; absent = unlimited.
    pub max_accounts: Option<i64>,
    /// Platforms that the plan includes.
    pub platforms: Vec<String>,
    /// Platforms that the plan will include when they exist.
    pub coming_soon: Vec<String>,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// `free`, `starter`, …
    pub name: String,
    /// What the configuration says of it.
    pub terms: PlanSection,
}

impl Plan {
    /// Most accounts; the largest number there is when the plan is unlimited.
    pub fn limit(&self) -> i64 {
        self.terms.max_accounts.unwrap_or(i64::MAX)
    }

    /// True when accounts of the platform may be connected under the plan.
    pub fn includes(&self, platform: &str) -> bool {
        self.terms.platforms.iter().any(|included| included == platform)
    }

    fn promises(&self, platform: &str) -> bool {
        self.terms.coming_soon.iter().any(|coming| coming == platform)
    }

    /// The plan as the contract shows it.
    pub fn to_proto(&self) -> pb::Plan {
        pb::Plan {
            name: self.name.clone(),
            title: self.terms.title.clone(),
            max_accounts: self.terms.max_accounts,
            platforms: self.terms.platforms.clone(),
            coming_soon: self.terms.coming_soon.clone(),
        }
    }
}

/// Why a platform cannot be connected now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No plan names it.
    Unknown,
    /// It cannot be connected on any plan yet.
    ComingSoon,
    /// A better plan has it: the cheapest that does.
    Locked(String),
}

/// All plans, cheapest first, and the one that new workspaces get. Never empty.
#[derive(Clone, Debug)]
pub struct Catalogue {
    plans: Vec<Plan>,
    default: usize,
}

impl Catalogue {
    /// Builds the catalogue; the error is one sentence that names the key.
    pub fn new(default: &str, sections: BTreeMap<String, PlanSection>) -> Result<Self, String> {
        let mut plans = sections
            .into_iter()
            .map(|(name, terms)| Plan { name, terms })
            .collect::<Vec<_>>();
        plans.sort_by(|a, b| (a.terms.order, &a.name).cmp(&(b.terms.order, &b.name)));
        for plan in &plans {
            if plan.terms.max_accounts.is_some_and(|max| max < 1) {
                return Err(format!(
                    "plans.{}.max_accounts must be at least 1, or left out for unlimited",
                    plan.name
                ));
            }
        }
        let place = plans.iter().position(|plan| plan.name == default);
        let default =
            place.ok_or_else(|| format!("plans.default = \"{default}\" names no plan: add [plans.{default}]"))?;
        Ok(Self { plans, default })
    }

    /// All plans, cheapest first.
    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// The plan of that name.
    pub fn find(&self, name: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.name == name)
    }

    /// The plan that new workspaces get.
    pub fn default_plan(&self) -> &Plan {
        &self.plans[self.default]
    }

    /// The plan of a stored workspace. One that was taken out of the configuration counts as the default plan.
    pub fn plan_or_default(&self, name: &str) -> &Plan {
        self.find(name).unwrap_or_else(|| self.default_plan())
    }

    /// Whether the platform can be connected under the plan now. A platform that no plan includes yet is coming soon on
    /// all of them.
    pub fn check(&self, plan: &Plan, platform: &str) -> Result<(), Refusal> {
        if plan.includes(platform) {
            return Ok(());
        }
        match self.plans.iter().find(|plan| plan.includes(platform)) {
            Some(cheapest) => Err(Refusal::Locked(cheapest.name.clone())),
            None if self.plans.iter().any(|plan| plan.promises(platform)) => Err(Refusal::ComingSoon),
            None => Err(Refusal::Unknown),
        }
    }

    /// Every platform that any plan names, as a workspace on `plan` sees it. Sorted by id.
    pub fn availability(&self, plan: &Plan) -> Vec<pb::PlatformAvailability> {
        let named = self
            .plans
            .iter()
            .flat_map(|plan| plan.terms.platforms.iter().chain(&plan.terms.coming_soon));
        let platforms = named.collect::<BTreeSet<_>>();
        let state = |platform: &str| match (plan.includes(platform), plan.promises(platform)) {
            (true, _) => pb::Availability::Available,
            (false, true) => pb::Availability::ComingSoon,
            (false, false) => pb::Availability::PlanLocked,
        };
        let cheapest = |platform: &str| {
            self.plans
                .iter()
                .find(|plan| plan.includes(platform) || plan.promises(platform))
        };
        platforms
            .into_iter()
            .map(|platform| pb::PlatformAvailability {
                platform: platform.clone(),
                availability: state(platform).into(),
                required_plan: cheapest(platform).map(|plan| plan.name.clone()).unwrap_or_default(),
            })
            .collect()
    }
}

/// A slot that an account has, held or locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSlot {
    /// `acc_…`
    pub account_id: String,
    /// The account's platform.
    pub platform: String,
    /// When it took the slot. Unix milliseconds.
    pub since_ms: i64,
    /// The plan does not cover it at present.
    pub locked: bool,
}

/// Which accounts are locked when `plan` has room for `room` of them: first those on platforms that the plan lacks, then what
/// is over, newest first. Accounts in `preferred` stay before all others, those that are active stay before those that are
/// locked. Deterministic; loses nobody.
pub fn locked(plan: &Plan, room: i64, accounts: &[AccountSlot], preferred: &[String]) -> BTreeSet<String> {
    let mut covered = accounts
        .iter()
        .filter(|account| plan.includes(&account.platform))
        .collect::<Vec<_>>();
    covered.sort_by_key(|a| (!preferred.contains(&a.account_id), a.locked, a.since_ms, &a.account_id));
    let room = usize::try_from(room).unwrap_or(if room < 0 { 0 } else { usize::MAX });
    let active = covered
        .into_iter()
        .take(room)
        .map(|account| &account.account_id)
        .collect::<BTreeSet<_>>();
    accounts
        .iter()
        .map(|account| &account.account_id)
        .filter(|id| !active.contains(id))
        .cloned()
        .collect()
}

/// Workspace ids as all parts of the hub accept them: `[A-Za-z0-9_-]{1,64}`.
pub fn is_workspace_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn section(order: i64, max_accounts: Option<i64>, platforms: &[&str], coming_soon: &[&str]) -> PlanSection {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        PlanSection {
            title: format!("Plan {order}"),
            order,
            max_accounts,
            platforms: owned(platforms),
            coming_soon: owned(coming_soon),
        }
    }

    /// The product's own catalogue.
    pub(crate) fn catalogue() -> Catalogue {
        let meta = ["facebook", "instagram"];
        let all = ["facebook", "instagram", "tiktok", "x", "linkedin"];
        let sections = [
            ("free", section(1, Some(1), &meta, &[])),
            ("starter", section(2, Some(5), &meta, &[])),
            ("professional", section(3, None, &all, &["telegram"])),
            ("enterprise", section(4, None, &all, &["telegram", "whatsapp"])),
        ];
        Catalogue::new(
            "free",
            sections.map(|(name, section)| (name.to_owned(), section)).into(),
        )
        .unwrap()
    }

    #[test]
    fn a_platform_to_come_is_coming_soon_on_every_plan() {
        let catalogue = catalogue();
        for plan in catalogue.plans() {
            assert_eq!(
                catalogue.check(plan, "telegram"),
                Err(Refusal::ComingSoon),
                "{}",
                plan.name
            );
            assert_eq!(
                catalogue.check(plan, "whatsapp"),
                Err(Refusal::ComingSoon),
                "{}",
                plan.name
            );
            assert_eq!(catalogue.check(plan, "myspace"), Err(Refusal::Unknown));
        }
    }

    #[test]
    fn a_locked_platform_names_the_cheapest_plan_that_has_it() {
        let catalogue = catalogue();
        let starter = catalogue.find("starter").unwrap();
        assert_eq!(
            catalogue.check(starter, "x"),
            Err(Refusal::Locked("professional".into()))
        );
        assert_eq!(catalogue.check(starter, "instagram"), Ok(()));
        let seen = catalogue.availability(starter);
        let whatsapp = seen.iter().find(|seen| seen.platform == "whatsapp").unwrap();
        assert_eq!(
            (whatsapp.availability(), whatsapp.required_plan.as_str()),
            (pb::Availability::PlanLocked, "enterprise")
        );
    }

    #[test]
    fn a_default_that_names_no_plan_is_refused() {
        assert!(
            Catalogue::new("gold", BTreeMap::new())
                .unwrap_err()
                .contains("plans.default")
        );
    }

    fn account(n: i64, platform: &str, locked: bool) -> AccountSlot {
        AccountSlot {
            account_id: format!("acc_{n:03}"),
            platform: platform.into(),
            since_ms: n,
            locked,
        }
    }

    #[test]
    fn a_downgrade_locks_platforms_the_plan_lacks_first_and_then_the_newest() {
        let catalogue = catalogue();
        let accounts = [
            account(1, "x", false),
            account(2, "facebook", false),
            account(3, "instagram", false),
        ];
        let lost = locked(catalogue.find("free").unwrap(), 1, &accounts, &[]);
        assert_eq!(lost, ["acc_001".to_owned(), "acc_003".to_owned()].into());
    }

    #[test]
    fn the_owners_choice_wins_over_age() {
        let catalogue = catalogue();
        let accounts = [account(1, "facebook", false), account(2, "facebook", true)];
        let lost = locked(catalogue.find("free").unwrap(), 1, &accounts, &["acc_002".into()]);
        assert_eq!(lost, ["acc_001".to_owned()].into());
    }

    proptest! {
        #[test]
        fn p3_a_downgrade_and_an_upgrade_give_everybody_back(
            ages in proptest::collection::vec((0_i64..50, 0_usize..5), 0..30),
            steps in proptest::collection::vec(0_usize..4, 1..6),
        ) {
            let catalogue = catalogue();
            let platforms = ["facebook", "instagram", "tiktok", "x", "linkedin"];
            let mut accounts = ages.iter().enumerate().map(|(n, (age, platform))| AccountSlot {
                account_id: format!("acc_{n}"), platform: platforms[*platform].into(), since_ms: *age, locked: false,
            }).collect::<Vec<_>>();
            for step in steps {
                let plan = &catalogue.plans()[step];
                let lost = locked(plan, plan.limit(), &accounts, &[]);
                let mut turned = accounts.clone();
                turned.reverse();
                prop_assert_eq!(&lost, &locked(plan, plan.limit(), &turned, &[]), "the order of rows must not matter");
                for account in &mut accounts {
                    account.locked = lost.contains(&account.account_id);
                    prop_assert!(account.locked || plan.includes(&account.platform));
                }
                let active = accounts.iter().filter(|account| !account.locked).count();
                let covered = accounts.iter().filter(|account| plan.includes(&account.platform)).count();
                prop_assert_eq!(active, covered.min(usize::try_from(plan.limit()).unwrap()));
            }
            let top = catalogue.find("enterprise").unwrap();
            prop_assert!(locked(top, top.limit(), &accounts, &[]).is_empty());
        }
    }
}
