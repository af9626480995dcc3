//! `/composer`: a small composer that really publishes, and says clearly why an account cannot.

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use kit::Failure;
use proto::accounts::v1::{AccountSort, CreatePostRequest, ListAccountsRequest};
use serde::Deserialize;

use super::card::Card;
use super::filters;
use super::note::Note;
use super::reader::Reader;
use super::shell::{Facts, Shell};
use super::{html, outcome, panel};
use crate::problem::Problem;
use crate::state::App;
use crate::view::{self, AccountView};

/// Accounts to choose from.
const CHOICES: i32 = 100;

/// What the address may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Ask {
    social_account_id: String,
    /// `1`: a post was just published.
    published: String,
    /// The connect session that just ended.
    session: String,
}

/// A post as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Draft {
    pub(crate) social_account_id: String,
    pub(crate) text: String,
    pub(crate) image_url: String,
}

#[derive(Template)]
#[template(path = "page/composer.html")]
pub(crate) struct Page {
    pub(crate) shell: Shell,
    pub(crate) notes: Vec<Note>,
    pub(crate) cards: Vec<Card>,
    pub(crate) chosen: Option<Card>,
    /// Why the chosen account cannot publish.
    pub(crate) cannot: Option<String>,
    pub(crate) text: String,
    pub(crate) image_url: String,
    pub(crate) needs_image: bool,
    pub(crate) image_hint: String,
    /// What is wrong with the text.
    pub(crate) wrong: Option<String>,
}

impl Page {
    /// The page of a draft.
    pub(crate) fn of(
        draft: Draft,
        chosen: Option<&AccountView>,
        accounts: &[AccountView],
        facts: &Facts,
        reader: &Reader,
    ) -> Self {
        let words = &reader.t.compose;
        let connector = chosen.and_then(|account| reader.lens.catalogue.connector(&account.connector));
        let needs_image = connector.is_some_and(|connector| connector.publish_needs_image);
        let card = chosen.map(|account| Card::of(account, reader));
        Self {
            shell: Shell::new(reader, facts, "composer", words.title),
            notes: Vec::new(),
            cards: accounts.iter().map(|account| Card::of(account, reader)).collect(),
            cannot: card.as_ref().and_then(|card| {
                let cannot = card.cannot.as_deref()?;
                Some((words.cannot)(card.why.as_ref().map_or(cannot, |why| &why.sentence)))
            }),
            image_hint: match card.as_ref().filter(|_| needs_image) {
                Some(card) => (words.image_needed)(&card.platform_name),
                None => words.image_optional.to_owned(),
            },
            chosen: card,
            text: draft.text,
            image_url: draft.image_url,
            needs_image,
            wrong: None,
        }
    }
}

/// `GET /composer`
pub(crate) async fn show(State(app): State<App>, reader: Reader, Query(ask): Query<Ask>) -> Result<Response, Problem> {
    let draft = Draft {
        social_account_id: ask.social_account_id,
        ..Draft::default()
    };
    let mut page = page(&app, &reader, draft).await?;
    if ask.published == "1"
        && let Some(card) = &page.chosen
    {
        page.notes.push(Note::green((reader.t.compose.published)(&card.about)));
    }
    if !ask.session.is_empty() {
        page.notes.extend(outcome::load(&app, &reader, &ask.session).await);
    }
    html(&page)
}

/// `POST /composer`
pub(crate) async fn publish(
    State(app): State<App>,
    reader: Reader,
    Form(draft): Form<Draft>,
) -> Result<Response, Problem> {
    if draft.text.trim().is_empty() {
        let mut page = page(&app, &reader, draft).await?;
        page.wrong = Some(reader.t.compose.empty_text.to_owned());
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)?).into_response());
    }
    let request = CreatePostRequest {
        workspace_id: reader.workspace(),
        account_id: draft.social_account_id.clone(),
        text: draft.text.clone(),
        image_url: draft.image_url.trim().to_owned(),
    };
    match app.accounts().create_post(reader.context.request(request)).await {
        Ok(_) => {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query
                .append_pair("social_account_id", &draft.social_account_id)
                .append_pair("published", "1");
            Ok(Redirect::to(&format!("/composer?{}", query.finish())).into_response())
        }
        Err(status) => {
            let failure = Failure::from_status(&status);
            let code = StatusCode::from_u16(failure.code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut page = page(&app, &reader, draft).await?;
            page.notes.push(refused(&failure));
            Ok((code, html(&page)?).into_response())
        }
    }
}

fn refused(failure: &Failure) -> Note {
    let detail = failure.fields.first().map_or(failure.detail.as_str(), |(_, why)| why);
    Note::bad(failure.code.title()).line(detail)
}

async fn page(app: &App, reader: &Reader, draft: Draft) -> Result<Page, Problem> {
    let request = ListAccountsRequest {
        workspace_id: reader.workspace(),
        sort: AccountSort::Name.into(),
        limit: CHOICES,
        ..ListAccountsRequest::default()
    };
    let mut accounts = app.accounts();
    let (listed, facts) = tokio::join!(
        accounts.list_accounts(reader.context.request(request)),
        Facts::load(app, reader)
    );
    let accounts: Vec<_> = listed?
        .into_inner()
        .accounts
        .iter()
        .map(|one| view::account(one, &reader.lens))
        .collect();
    let chosen = match accounts.iter().find(|account| account.id == draft.social_account_id) {
        Some(account) => Some(account.clone()),
        // Beyond the first hundred, or disconnected: looked up by itself.
        None if !draft.social_account_id.is_empty() => {
            let found = panel::account(app, reader, &draft.social_account_id).await?;
            Some(view::account(&found, &reader.lens))
        }
        None => None,
    };
    Ok(Page::of(draft, chosen.as_ref(), &accounts, &facts, reader))
}
