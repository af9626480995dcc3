//! The people of the sandbox, each in a situation that a hub must cope with, and what they own. Ids are fixed so that
//! tests can name them. The table in `people` is the whole cast; the other functions follow from it.

use serde::Serialize;

use crate::platform::Platform;
use crate::switches::{Effect, Order, Scope, Switches};

/// Pages of the person whose lists need paging.
pub(crate) const CLEO_PAGES: usize = 130;
/// Pages of the person who has more than anybody should.
pub(crate) const HANA_PAGES: usize = 500;
/// Organisations of the person whose lists need paging.
pub(crate) const CLEO_ORGANIZATIONS: u64 = 120;

/// All tasks a Page role can have.
pub(crate) const ALL_TASKS: [&str; 5] = ["ADVERTISE", "ANALYZE", "CREATE_CONTENT", "MODERATE", "MANAGE"];

/// Somebody who can sign in.
#[derive(Clone, Serialize)]
pub(crate) struct Person {
    pub(crate) id: &'static str,
    pub(crate) name: String,
    pub(crate) username: String,
    pub(crate) situation: &'static str,
    /// App-scoped Facebook user id.
    pub(crate) facebook_id: String,
    /// Id of the Instagram account (1784…), if there is one.
    pub(crate) instagram_id: Option<String>,
    pub(crate) tiktok_open_id: Option<String>,
    pub(crate) x_id: Option<String>,
    pub(crate) linkedin_id: Option<String>,
    /// Meta wants the person to log in and confirm something.
    pub(crate) checkpoint: bool,
}

impl Person {
    pub(crate) fn is_on(&self, platform: Platform) -> bool {
        match platform {
            Platform::Facebook => true,
            Platform::Instagram => self.instagram_id.is_some(),
            Platform::TikTok => self.tiktok_open_id.is_some(),
            Platform::X => self.x_id.is_some(),
            Platform::LinkedIn => self.linkedin_id.is_some(),
        }
    }

    /// Name in two halves, as LinkedIn and Facebook keep it.
    pub(crate) fn name_parts(&self) -> (&str, &str) {
        self.name.split_once(' ').unwrap_or((&self.name, ""))
    }
}

/// Somebody's role at a Page or an organisation.
#[derive(Clone, Serialize)]
pub(crate) struct Role {
    pub(crate) person: String,
    /// Page tasks, or one LinkedIn role.
    pub(crate) tasks: Vec<String>,
}

/// A Facebook Page.
#[derive(Clone, Serialize)]
pub(crate) struct Page {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) username: String,
    pub(crate) category: &'static str,
    pub(crate) roles: Vec<Role>,
    /// Id of the linked professional Instagram account.
    pub(crate) instagram: Option<String>,
    /// Reached only through a Business: not in `/me/accounts`.
    pub(crate) business_only: bool,
}

impl Page {
    /// What `person` may do; empty: nothing any more.
    pub(crate) fn tasks(&self, person: &str) -> &[String] {
        self.roles
            .iter()
            .find(|role| role.person == person)
            .map_or(&[], |role| &role.tasks)
    }

    pub(crate) fn can_publish(&self, person: &str) -> bool {
        self.tasks(person)
            .iter()
            .any(|task| task == "CREATE_CONTENT" || task == "MANAGE")
    }
}

/// A Business with Pages.
#[derive(Clone, Serialize)]
pub(crate) struct Business {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) person: &'static str,
    pub(crate) owned: &'static [&'static str],
    pub(crate) client: &'static [&'static str],
}

/// An Instagram account.
#[derive(Clone, Serialize)]
pub(crate) struct InstagramAccount {
    /// 1784…, the same in both flows.
    pub(crate) id: String,
    /// App-scoped id of Instagram Login.
    pub(crate) scoped_id: String,
    pub(crate) person: &'static str,
    pub(crate) username: String,
    pub(crate) name: String,
    /// `BUSINESS`, `MEDIA_CREATOR` or `PERSONAL`.
    pub(crate) account_type: String,
}

impl InstagramAccount {
    pub(crate) fn is_professional(&self) -> bool {
        self.account_type != "PERSONAL"
    }
}

/// A LinkedIn organisation.
#[derive(Clone, Serialize)]
pub(crate) struct Organization {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) vanity: String,
    pub(crate) roles: Vec<Role>,
}

impl Organization {
    pub(crate) fn role(&self, person: &str) -> Option<&str> {
        let role = self.roles.iter().find(|role| role.person == person)?;
        role.tasks.first().map(String::as_str)
    }
}

/// id, name, user name, on (I)nstagram (T)ikTok (X) (L)inkedIn, situation.
const CAST: [(&str, &str, &str, &str, &str); 8] = [
    (
        "ada",
        "Ada Sandbox",
        "sandboxbakery",
        "ITXL",
        "Two Pages, one linked to a professional Instagram; admin of two organisations",
    ),
    (
        "bo",
        "Bo <script>alert(1)</script> & “Söhne” \"<b>'",
        "bo_hostile",
        "ITXL",
        "One Page with the task ANALYZE only; Instagram creator; a name that attacks HTML",
    ),
    (
        "cleo",
        "Cleo Marchetti",
        "cleo.agency",
        "ITXL",
        "130 Pages and 120 organisations: every list has several result pages",
    ),
    (
        "dora",
        "دورا الرملي",
        "dora_ramli",
        "XL",
        "No Page, no Instagram; content administrator of one organisation, analyst of another",
    ),
    (
        "enid",
        "Enid Oldfield",
        "enid.oldfield",
        "ITX",
        "Instagram of the older method: the first sign-in gives a grant that cannot publish, the next one a current grant",
    ),
    (
        "finn",
        "Finn Alexander Bartholomew Cornelius Demetrius Ethelbert Fitzwilliam Gwendolyn Hieronymus Ignatius Jeremiah \
         Ludovicus Montgomery Nebuchadnezzar Octavian Peregrine von und zu Wolfeschlegelsteinhausenbergerdorff",
        "finn_of_the_very_long_name",
        "ITXL",
        "A very long name; a personal, not professional, Instagram; one Page without Instagram",
    ),
    (
        "gus",
        "Gus Holding",
        "gus.holding",
        "XL",
        "Pages only through a Business: none in the list of Pages, one owned and one of a client",
    ),
    (
        "hana",
        "Hana Kobayashi",
        "hana.network",
        "X",
        "500 Pages: a workspace as large as they come",
    ),
];

pub(crate) fn people() -> Vec<Person> {
    let numbered = CAST.iter().zip(1_u64..);
    numbered
        .map(|(&(id, name, username, on, situation), n)| Person {
            id,
            name: name.to_owned(),
            username: username.to_owned(),
            situation,
            facebook_id: (900_000_000_000_000 + n).to_string(),
            instagram_id: on.contains('I').then(|| (17_841_400_000_000_000 + n).to_string()),
            tiktok_open_id: on.contains('T').then(|| format!("sbx-open-id-000{n}")),
            x_id: on.contains('X').then(|| (1_500_000_000_000_000_000 + n).to_string()),
            linkedin_id: on.contains('L').then(|| format!("sbxMember{n}")),
            checkpoint: false,
        })
        .collect()
}

fn roles(person: &str, tasks: &[&str]) -> Vec<Role> {
    vec![Role {
        person: person.to_owned(),
        tasks: tasks.iter().map(|&task| task.to_owned()).collect(),
    }]
}

struct PageSeed(
    u64,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

/// number, name, user name, category, person, tasks
const PAGES: [PageSeed; 7] = [
    PageSeed(1, "Sandbox Bakery", "sandboxbakery", "Bakery", "ada", &ALL_TASKS),
    PageSeed(
        2,
        "Sandbox Bakery Events",
        "sandboxbakeryevents",
        "Event",
        "ada",
        &ALL_TASKS,
    ),
    PageSeed(
        3,
        "Bo's “Read Only” <i>Page</i> & Co",
        "boreadonly",
        "Shopping & retail",
        "bo",
        &["ANALYZE"],
    ),
    PageSeed(
        4,
        "Oldfield Antiques",
        "oldfieldantiques",
        "Antique Shop",
        "enid",
        &ALL_TASKS,
    ),
    PageSeed(
        5,
        "Finn's Fishing",
        "finnsfishing",
        "Sports",
        "finn",
        &["ANALYZE", "CREATE_CONTENT"],
    ),
    PageSeed(6, "Holding Hotels", "holdinghotels", "Hotel", "gus", &ALL_TASKS),
    PageSeed(
        7,
        "Client Coffee",
        "clientcoffee",
        "Coffee Shop",
        "gus",
        &["ANALYZE", "CREATE_CONTENT", "MODERATE"],
    ),
];

fn page_id(number: u64) -> String {
    (104_000_000_000_000 + number).to_string()
}

pub(crate) fn pages() -> Vec<Page> {
    let named = PAGES
        .iter()
        .map(|PageSeed(number, name, username, category, person, tasks)| Page {
            id: page_id(*number),
            name: (*name).to_owned(),
            username: (*username).to_owned(),
            category,
            roles: roles(person, tasks),
            // Numbers of Page and Instagram account differ only for Enid, who is the fifth person.
            instagram: match number {
                1 => Some("17841400000000001".to_owned()),
                4 => Some("17841400000000005".to_owned()),
                _ => None,
            },
            business_only: *person == "gus",
        });
    let many = (1..=CLEO_PAGES).map(|n| Page {
        instagram: (n == 1).then(|| "17841400000000003".to_owned()),
        ..local_business("cleo", page_id(1000 + n as u64), &format!("Cleo's Client {n:03}"))
    });
    let hundreds =
        (1..=HANA_PAGES).map(|n| local_business("hana", page_id(2000 + n as u64), &format!("Hana's Branch {n:03}")));
    named.chain(many).chain(hundreds).collect()
}

/// One of the many Pages of a person who has all tasks on it.
fn local_business(person: &str, id: String, name: &str) -> Page {
    Page {
        id,
        name: name.to_owned(),
        username: name.to_lowercase().replace("'s", "").replace(' ', ""),
        category: "Local Business",
        roles: roles(person, &ALL_TASKS),
        instagram: None,
        business_only: false,
    }
}

pub(crate) fn businesses() -> Vec<Business> {
    vec![Business {
        id: "300000000000001",
        name: "Holding & Partners",
        person: "gus",
        owned: &["104000000000006"],
        client: &["104000000000007"],
    }]
}

pub(crate) fn instagram_accounts() -> Vec<InstagramAccount> {
    let account = |n: u64, person, username: &str, name: &str, account_type: &str| InstagramAccount {
        id: (17_841_400_000_000_000 + n).to_string(),
        scoped_id: (25_000_000_000_000_000 + n).to_string(),
        person,
        username: username.to_owned(),
        name: name.to_owned(),
        account_type: account_type.to_owned(),
    };
    vec![
        account(1, "ada", "sandbox.bakery", "Sandbox Bakery", "BUSINESS"),
        account(
            2,
            "bo",
            "bo.creates",
            "Bo <script>alert(1)</script> creates",
            "MEDIA_CREATOR",
        ),
        account(3, "cleo", "cleo.agency", "Cleo's Client 001", "BUSINESS"),
        account(5, "enid", "enid.oldfield", "Enid Oldfield", "BUSINESS"),
        account(6, "finn", "finn.private", "Finn", "PERSONAL"),
    ]
}

pub(crate) fn organizations() -> Vec<Organization> {
    let organization = |number: u64, name: &str, vanity: &str, roles: Vec<Role>| Organization {
        id: number.to_string(),
        name: name.to_owned(),
        vanity: vanity.to_owned(),
        roles,
    };
    let mut bakery = roles("ada", &["ADMINISTRATOR"]);
    bakery.extend(roles("dora", &["CONTENT_ADMINISTRATOR"]));
    let mut academy = roles("ada", &["ADMINISTRATOR"]);
    academy.extend(roles("dora", &["ANALYST"]));
    let mut all = vec![
        organization(5_000_001, "Sandbox Bakery", "sandbox-bakery", bakery),
        organization(
            5_000_002,
            "Sandbox Baking Academy <Ltd>",
            "sandbox-baking-academy",
            academy,
        ),
        organization(
            5_000_003,
            "Holding Hotels",
            "holding-hotels",
            roles("gus", &["ADMINISTRATOR"]),
        ),
    ];
    all.extend((1..=CLEO_ORGANIZATIONS).map(|n| {
        let name = format!("Cleo's Company {n:03}");
        organization(
            5_100_000 + n,
            &name,
            &format!("cleo-company-{n:03}"),
            roles("cleo", &["ADMINISTRATOR"]),
        )
    }));
    all
}

/// Switches that are on from the start: situations that are not a property but something that happens once.
pub(crate) fn first_switches(switches: &mut Switches) {
    switches.add(Order {
        platform: Platform::Instagram,
        person: Some("enid".to_owned()),
        operation: Some(Scope::Consent),
        next: Some(1),
        effect: Effect::OldScopes,
    });
}
