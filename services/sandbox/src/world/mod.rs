//! The state that all imitations share: apps, people and what they own, grants and tokens, posts, switches, the log and
//! the clock. One value behind one lock; imitations change it synchronously, so no state change is ever half done.

pub(crate) mod clock;
pub(crate) mod log;
pub(crate) mod people;
pub(crate) mod posts;
pub(crate) mod profile;
pub(crate) mod rotation;
pub(crate) mod tokens;

use std::collections::HashMap;

use crate::Apps;
use crate::switches::Switches;
use clock::Clock;
use log::{Event, Log};
use people::{Business, InstagramAccount, Organization, Page, Person};
use posts::{Container, Post};
use profile::Profile;
use tokens::Issued;

/// Everything.
pub(crate) struct World {
    pub(crate) apps: Apps,
    pub(crate) profile: Profile,
    pub(crate) people: Vec<Person>,
    pub(crate) pages: Vec<Page>,
    pub(crate) businesses: Vec<Business>,
    pub(crate) instagram: Vec<InstagramAccount>,
    pub(crate) organizations: Vec<Organization>,
    /// Newest last.
    pub(crate) posts: Vec<Post>,
    pub(crate) containers: HashMap<String, Container>,
    pub(crate) issued: Issued,
    pub(crate) switches: Switches,
    pub(crate) log: Log,
    pub(crate) clock: Clock,
    /// The request being answered.
    pub(crate) request: Option<u64>,
    requests: u64,
    next_object: u64,
}

impl World {
    pub(crate) fn new(apps: Apps) -> Self {
        let mut world = Self {
            apps,
            profile: Profile::default(),
            people: people::people(),
            pages: people::pages(),
            businesses: people::businesses(),
            instagram: people::instagram_accounts(),
            organizations: people::organizations(),
            posts: Vec::new(),
            containers: HashMap::new(),
            issued: Issued::default(),
            switches: Switches::default(),
            log: Log::default(),
            clock: Clock::default(),
            request: None,
            requests: 0,
            next_object: 0,
        };
        people::first_switches(&mut world.switches);
        world.posts = posts::seed(&world);
        world
    }

    /// A world as at the start. The log keeps counting so that a reader's cursor stays good.
    pub(crate) fn reset(&mut self) {
        let mut log = std::mem::take(&mut self.log);
        let requests = self.requests;
        *self = Self::new(self.apps.clone());
        log.reset(self.now_ms());
        self.log = log;
        self.requests = requests;
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    pub(crate) fn now_seconds(&self) -> i64 {
        self.now_ms() / 1000
    }

    pub(crate) fn record(&mut self, event: Event) {
        let now = self.now_ms();
        self.log.add(now, event);
    }

    pub(crate) fn next_request(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    /// A number for a new post or container.
    pub(crate) fn next_object(&mut self) -> u64 {
        self.next_object += 1;
        self.next_object
    }

    pub(crate) fn person(&self, id: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.id == id)
    }

    pub(crate) fn page(&self, id: &str) -> Option<&Page> {
        self.pages.iter().find(|page| page.id == id)
    }

    pub(crate) fn instagram_account(&self, id: &str) -> Option<&InstagramAccount> {
        self.instagram
            .iter()
            .find(|account| account.id == id || account.scoped_id == id)
    }

    pub(crate) fn organization(&self, id: &str) -> Option<&Organization> {
        self.organizations.iter().find(|organization| organization.id == id)
    }
}
