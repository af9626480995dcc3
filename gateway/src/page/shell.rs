//! The frame around every page: where one is, who one is, what needs attention.

use kit::Role;
use proto::accounts::v1::SummarizeAccountsRequest;
use proto::entitlements::v1::GetWorkspaceRequest;

use super::face::initials;
use super::reader::Reader;
use super::texts::Texts;
use crate::state::App;
use crate::view::{self, EntitlementsView, Locale, SummaryView};

/// What the frame shows of the workspace. Neither part may keep a page from being shown.
#[derive(Clone, Default)]
pub(crate) struct Facts {
    pub(crate) summary: Option<SummaryView>,
    /// The workspace's last event that the summary knows.
    pub(crate) version: Option<i64>,
    pub(crate) entitlements: Option<EntitlementsView>,
}

impl Facts {
    /// Asks both services at once.
    pub(crate) async fn load(app: &App, reader: &Reader) -> Self {
        let (mut accounts, mut entitlements) = (app.accounts(), app.entitlements());
        let workspace_id = reader.workspace();
        let (summary, workspace) = tokio::join!(
            accounts.summarize_accounts(reader.context.request(SummarizeAccountsRequest {
                workspace_id: workspace_id.clone()
            })),
            entitlements.get_workspace(reader.context.request(GetWorkspaceRequest { workspace_id })),
        );
        let workspace = workspace.ok().and_then(|answer| answer.into_inner().workspace);
        let summary = summary.ok().map(tonic::Response::into_inner);
        Self {
            version: summary.as_ref().map(|summary| summary.version),
            summary: summary.as_ref().map(view::summary),
            entitlements: workspace.map(|workspace| view::entitlements(&workspace)),
        }
    }

    /// Together with a list that knows events up to this one.
    pub(crate) fn beside(self, version: i64) -> Self {
        Self {
            version: self.version.map(|own| own.min(version)),
            ..self
        }
    }
}

/// One option of a list.
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) label: String,
    pub(crate) chosen: bool,
}

/// What `dev` mode lets one switch.
pub(crate) struct Demo {
    pub(crate) persons: Vec<Choice>,
    pub(crate) roles: Vec<Choice>,
    pub(crate) plans: Vec<Choice>,
}

/// The frame of a page.
#[allow(clippy::struct_excessive_bools, reason = "what a template asks, each for itself")]
pub(crate) struct Shell {
    pub(crate) t: &'static Texts,
    pub(crate) title: String,
    /// `overview`, `composer`, `connections`, `notifications`, `billing`, `support`, or empty.
    pub(crate) current: &'static str,
    pub(crate) path: String,
    pub(crate) timezone: String,
    pub(crate) workspace_id: String,
    /// The last event that the page's lists know: later ones are told to it. Empty when accounts could not be asked.
    pub(crate) after: String,
    pub(crate) workspace_initials: String,
    pub(crate) person_name: String,
    pub(crate) person_initials: String,
    pub(crate) role: &'static str,
    pub(crate) manages: bool,
    pub(crate) owns: bool,
    pub(crate) attention: i64,
    pub(crate) attention_text: String,
    pub(crate) unread: i64,
    pub(crate) unread_text: String,
    pub(crate) composer: String,
    pub(crate) billing: String,
    pub(crate) support: String,
    pub(crate) offline_text: String,
    pub(crate) waiting_text: String,
    pub(crate) updated_texts: String,
    pub(crate) demo: Option<Demo>,
    /// To switch between; none where there is one.
    pub(crate) workspaces: Vec<Choice>,
    pub(crate) signed_in: bool,
    /// In a window of its own: nothing to navigate to.
    pub(crate) bare: bool,
}

impl Shell {
    /// The frame of the page `current`, titled `title`.
    pub(crate) fn new(reader: &Reader, facts: &Facts, current: &'static str, title: &str) -> Self {
        let (t, links) = (reader.t, &reader.lens.links);
        let (attention, unread) = facts.summary.as_ref().map_or((0, 0), |summary| {
            (summary.needs_reconnect, summary.unread_notifications)
        });
        let name = if reader.person.name.is_empty() {
            &reader.person.user_id
        } else {
            &reader.person.name
        };
        Self {
            t,
            title: title.to_owned(),
            current,
            path: reader.path.clone(),
            timezone: reader.timezone.clone(),
            workspace_id: reader.workspace(),
            after: facts.version.map_or_else(String::new, |version| version.to_string()),
            workspace_initials: initials(&reader.person.workspace_id),
            person_initials: initials(name),
            person_name: name.clone(),
            role: role_name(t, reader.person.role),
            manages: reader.manages(),
            owns: reader.owns(),
            attention,
            attention_text: (t.shell.need_attention)(attention),
            unread,
            unread_text: (t.shell.unread)(unread),
            composer: links.composer("").trim_end_matches("?social_account_id=").to_owned(),
            billing: links.billing(),
            support: links
                .support("", "")
                .trim_end_matches("&problem=")
                .trim_end_matches("?account=")
                .to_owned(),
            offline_text: (t.shell.offline)("#"),
            waiting_text: (t.connect.waiting)("#"),
            updated_texts: (2..=20).map(t.shell.updated).collect::<Vec<_>>().join("|"),
            demo: reader.dev.then(|| demo(reader, facts)),
            workspaces: workspaces(reader),
            signed_in: reader.signed_in,
            bare: false,
        }
    }

    /// Pages that a phone reaches through "More".
    pub(crate) fn in_more(&self) -> bool {
        matches!(self.current, "connections" | "billing" | "support")
    }

    /// Shown in Arabic.
    pub(crate) fn is_arabic(&self) -> bool {
        self.t.locale == Locale::Arabic
    }
}

fn workspaces(reader: &Reader) -> Vec<Choice> {
    let all = reader.workspaces.iter().filter(|_| reader.workspaces.len() > 1);
    all.map(|id| Choice {
        value: id.clone(),
        label: id.clone(),
        chosen: *id == reader.person.workspace_id,
    })
    .collect()
}

fn role_name(t: &Texts, role: Role) -> &'static str {
    match role {
        Role::Owner => t.shell.owner,
        Role::Admin => t.shell.admin,
        Role::Member => t.shell.member,
    }
}

fn demo(reader: &Reader, facts: &Facts) -> Demo {
    let choice = |value: &str, label: &str, chosen| Choice {
        value: value.into(),
        label: label.into(),
        chosen,
    };
    let plan = facts
        .entitlements
        .as_ref()
        .map(|entitlements| entitlements.plan.as_str());
    let mut persons: Vec<_> = crate::auth::PERSONS
        .iter()
        .map(|person| choice(person.user_id, person.name, person.user_id == reader.person.user_id))
        .collect();
    if !persons.iter().any(|person| person.chosen) {
        persons.push(choice(&reader.person.user_id, &reader.person.user_id, true));
    }
    Demo {
        persons,
        roles: [Role::Owner, Role::Admin, Role::Member]
            .map(|role| choice(role.as_str(), role_name(reader.t, role), role == reader.person.role))
            .into(),
        // The plan that is has no name here: sending the form for another reason must not set it again.
        plans: (reader.lens.catalogue.plans.iter())
            .map(|one| (one, plan == Some(&one.name)))
            .map(|(one, chosen)| choice(if chosen { "" } else { &one.name }, &one.title, chosen))
            .collect(),
    }
}
