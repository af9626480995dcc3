//! `/billing`: plans and what they allow; in `dev` mode the owner switches them, and after a downgrade chooses what stays.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::Form;
use kit::Code;
use proto::accounts::v1::{AccountSort, ListAccountsRequest};
use proto::entitlements::v1::{Plan, SetActiveAccountsRequest, SetPlanRequest};
use serde::Deserialize;

use super::card::Card;
use super::filters;
use super::html;
use super::note::Note;
use super::reader::Reader;
use super::shell::{Facts, Shell};
use crate::problem::Problem;
use crate::state::App;
use crate::view::{self, AccountView};

/// A plan of the catalogue.
pub(crate) struct PlanCard {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) current: bool,
    pub(crate) accounts: String,
    pub(crate) platforms: Vec<String>,
    pub(crate) soon: Option<String>,
}

/// Which accounts stay active after a downgrade.
pub(crate) struct Choice {
    pub(crate) hint: String,
    pub(crate) accounts: Vec<Row>,
}

/// An account of the choice.
pub(crate) struct Row {
    pub(crate) card: Card,
    pub(crate) locked: bool,
}

#[derive(Template)]
#[template(path = "page/billing.html")]
pub(crate) struct Page {
    pub(crate) shell: Shell,
    pub(crate) notes: Vec<Note>,
    pub(crate) usage: String,
    pub(crate) can_switch: bool,
    pub(crate) plans: Vec<PlanCard>,
    pub(crate) choice: Option<Choice>,
}

impl Page {
    /// The page of the catalogue as this workspace stands in it.
    pub(crate) fn of(accounts: &[AccountView], facts: &Facts, reader: &Reader) -> Self {
        let t = reader.t;
        let entitlements = facts.entitlements.as_ref();
        let current = entitlements.map(|found| found.plan.as_str()).unwrap_or_default();
        let usage = entitlements.map(|found| match found.accounts.max {
            Some(max) => (t.list.used_on)(found.accounts.used, max, &found.plan_title),
            None => format!("{}: {}", t.plan.usage, found.accounts.used),
        });
        let plans = reader
            .lens
            .catalogue
            .plans
            .iter()
            .map(|plan| card(plan, current, reader))
            .collect();
        Self {
            shell: Shell::new(reader, facts, "billing", t.plan.title),
            notes: Vec::new(),
            usage: usage.unwrap_or_default(),
            can_switch: reader.dev && reader.owns(),
            plans,
            choice: choice(accounts, facts, reader),
        }
    }
}

fn card(plan: &Plan, current: &str, reader: &Reader) -> PlanCard {
    let title = |id: &String| {
        reader
            .lens
            .catalogue
            .platform(id)
            .map_or(id.clone(), |platform| platform.title.clone())
    };
    let soon: Vec<String> = plan.coming_soon.iter().map(title).collect();
    PlanCard {
        name: plan.name.clone(),
        title: plan.title.clone(),
        current: plan.name == current,
        accounts: plan
            .max_accounts
            .map_or(reader.t.plan.unlimited.to_owned(), reader.t.plan.accounts),
        platforms: plan.platforms.iter().map(title).collect(),
        soon: (!soon.is_empty()).then(|| (reader.t.plan.and_soon)(&soon.join(reader.t.health.and))),
    }
}

fn choice(accounts: &[AccountView], facts: &Facts, reader: &Reader) -> Option<Choice> {
    let entitlements = facts.entitlements.as_ref()?;
    let max = entitlements.accounts.max?;
    if !reader.owns() || entitlements.locked_account_ids.is_empty() {
        return None;
    }
    let row = |account: &AccountView| Row {
        locked: entitlements.locked_account_ids.contains(&account.id),
        card: Card::of(account, reader),
    };
    Some(Choice {
        hint: (reader.t.plan.choose_hint)(max),
        accounts: accounts.iter().map(row).collect(),
    })
}

/// `GET /billing`
pub(crate) async fn show(State(app): State<App>, reader: Reader) -> Result<Response, Problem> {
    html(&page(&app, &reader).await?)
}

async fn page(app: &App, reader: &Reader) -> Result<Page, Problem> {
    let facts = Facts::load(app, reader).await;
    let has_locked = facts
        .entitlements
        .as_ref()
        .is_some_and(|found| !found.locked_account_ids.is_empty());
    let accounts = if has_locked {
        all(app, reader).await?
    } else {
        Vec::new()
    };
    Ok(Page::of(&accounts, &facts, reader))
}

async fn all(app: &App, reader: &Reader) -> Result<Vec<AccountView>, Problem> {
    let request = ListAccountsRequest {
        workspace_id: reader.workspace(),
        sort: AccountSort::Name.into(),
        limit: 100,
        ..ListAccountsRequest::default()
    };
    let listed = app
        .accounts()
        .list_accounts(reader.context.request(request))
        .await?
        .into_inner();
    Ok(listed
        .accounts
        .iter()
        .map(|one| view::account(one, &reader.lens))
        .collect())
}

/// The plan that is chosen.
#[derive(Debug, Deserialize)]
pub(crate) struct Chosen {
    plan: String,
}

/// `POST /billing/plan`, in `dev` mode only.
pub(crate) async fn set_plan(
    State(app): State<App>,
    reader: Reader,
    Form(chosen): Form<Chosen>,
) -> Result<Response, Problem> {
    if !reader.dev {
        return Err(Problem::not_found());
    }
    if !reader.owns() {
        return Err(Problem::new(
            Code::ForbiddenRole,
            "only the owner of the workspace may do this",
        ));
    }
    let request = SetPlanRequest {
        workspace_id: reader.workspace(),
        plan: chosen.plan,
    };
    app.entitlements().set_plan(reader.context.request(request)).await?;
    Ok(Redirect::to("/billing").into_response())
}

/// The accounts that are to stay active.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Active {
    #[serde(default)]
    account: Vec<String>,
}

/// `POST /billing/accounts`
pub(crate) async fn set_active(
    State(app): State<App>,
    reader: Reader,
    Form(active): Form<Active>,
) -> Result<Response, Problem> {
    let request = SetActiveAccountsRequest {
        workspace_id: reader.workspace(),
        account_ids: active.account,
    };
    match app
        .entitlements()
        .set_active_accounts(reader.context.request(request))
        .await
    {
        Ok(_) => Ok(Redirect::to("/billing").into_response()),
        Err(status) => {
            let problem = Problem::from(status);
            let mut page = page(&app, &reader).await?;
            page.notes
                .push(Note::bad(problem.0.code.title()).line(problem.0.detail.clone()));
            Ok((
                http::StatusCode::from_u16(problem.0.code.http()).unwrap_or_default(),
                html(&page)?,
            )
                .into_response())
        }
    }
}
