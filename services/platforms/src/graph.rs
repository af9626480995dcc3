//! Meta's Graph API as Facebook and both ways to Instagram use it: signed calls, paging that never leaves the configured
//! host, looking at a token, the person with their permissions and Pages, and giving a grant back.

use proto::common::v1::ErrorClass;
use proto::platforms::v1::{Credential, DiscoverResponse, RawAnswer};
use reqwest::Method;
use serde_json::Value;
use url::Url;

use crate::adapter::Result;
use crate::app::App;
use crate::classify;
use crate::ctx::Ctx;
use crate::discovery;
use crate::http::{Body, Outgoing};
use crate::oauth;
use crate::reply::{self, TokenReply};
use crate::signature;
use crate::spec::{DAY, Spec};

/// Result pages that are read at most; with 100 entries each more than any person has.
const PAGES: usize = 100;
/// Either task lets a person publish to a Page.
const PUBLISHING_TASKS: [&str; 2] = ["CREATE_CONTENT", "MANAGE"];

type Query = Vec<(&'static str, String)>;

/// The parameters that every call carries.
fn signed(ctx: &Ctx, token: &str, mut parameters: Query) -> Query {
    parameters.push(("access_token", token.to_owned()));
    parameters.push(("appsecret_proof", signature::appsecret_proof(ctx.app.secret(), token)));
    parameters
}

/// GET. `subject` is whose limit it counts against.
pub(crate) async fn get(ctx: &Ctx, subject: &str, token: &str, path: &str, query: Query) -> Result<Value> {
    let url = ctx.api(&format!("/{{version}}{path}"));
    Ok(ctx
        .call(subject, Outgoing::get("api", url, signed(ctx, token, query)))
        .await?
        .json)
}

/// POST of a form.
pub(crate) async fn post(ctx: &Ctx, subject: &str, token: &str, path: &str, form: Query) -> Result<Value> {
    let url = ctx.api(&format!("/{{version}}{path}"));
    Ok(ctx
        .call(subject, Outgoing::form("api", url, signed(ctx, token, form)))
        .await?
        .json)
}

/// All result pages of a list.
pub(crate) async fn list(ctx: &Ctx, subject: &str, token: &str, path: &str, query: &Query) -> Result<Vec<Value>> {
    let (mut found, mut next) = (Vec::new(), Query::new());
    for _ in 0..PAGES {
        let parameters = query.iter().chain(&next).cloned().collect();
        let answer = get(ctx, subject, token, path, parameters).await?;
        let paging = &answer["paging"];
        let rows = answer["data"].as_array().ok_or_else(classify::unreadable)?;
        found.extend(rows.iter().cloned());
        match (paging["next"].as_str(), next_page(paging)) {
            (None, _) => return Ok(found),
            (Some(_), Some(parameter)) => next = vec![parameter],
            (Some(_), None) => {
                return Err(classify::error(
                    ErrorClass::Transient,
                    "paging",
                    "the next result page is not named",
                ));
            }
        }
    }
    Ok(found)
}

/// Where the next page begins. Only the cursor is taken from `next`, never its host or its token.
fn next_page(paging: &Value) -> Option<(&'static str, String)> {
    let next = Url::parse(paging["next"].as_str()?).ok()?;
    let parameter = |name: &'static str| {
        let (_, value) = next
            .query_pairs()
            .find(|(key, value)| key == name && !value.is_empty())?;
        Some((name, value.into_owned()))
    };
    let cursor = paging["cursors"]["after"]
        .as_str()
        .map(|after| ("after", after.to_owned()));
    parameter("after").or_else(|| parameter("offset")).or(cursor)
}

/// The token that stands for our app.
fn app_token(ctx: &Ctx) -> String {
    format!("{}|{}", ctx.app.client_id, ctx.app.secret())
}

/// What Meta knows of a token. A token that does not work is an error although the answer is a 200.
pub(crate) async fn debug_token(ctx: &Ctx, token: &str) -> Result<Value> {
    let query = signed(ctx, &app_token(ctx), vec![("input_token", token.to_owned())]);
    let asked = Outgoing::get("api", ctx.api("/{version}/debug_token"), query);
    let data = ctx.call_as_app(asked).await?.json["data"].take();
    if data["is_valid"] == false {
        return Err(classify::error(
            ErrorClass::Revoked,
            "is_valid",
            "Meta says that the token is not valid",
        ));
    }
    Ok(data)
}

/// A person's grant as Meta sees it.
pub(crate) struct Grant {
    /// Without destinations.
    pub(crate) found: DiscoverResponse,
    granular: Value,
    short_lived: bool,
}

/// Looks at the token, the person and the permissions.
pub(crate) async fn grant(ctx: &Ctx, credential: &Credential) -> Result<Grant> {
    let token = &credential.access_token;
    let debug = debug_token(ctx, token).await?;
    let seconds = |name: &str| debug[name].as_i64().unwrap_or(0).saturating_mul(1000);
    let user_id = discovery::required_id(&debug["user_id"])?;
    let user = get(ctx, &user_id, token, "/me", vec![("fields", "id,name".to_owned())]).await?;
    discovery::required_id(&user["id"])?;
    let permissions = list(ctx, &user_id, token, "/me/permissions", &Query::new()).await?;
    let with = |granted: bool| {
        let rows = permissions
            .iter()
            .filter(move |row| (row["status"] == "granted") == granted);
        rows.map(|row| classify::text(&row["permission"])).collect()
    };
    let found = DiscoverResponse {
        platform_user_id: user_id,
        user_name: classify::text(&user["name"]),
        granted_scopes: with(true),
        declined_scopes: with(false),
        data_access_expires_at_ms: seconds("data_access_expires_at"),
        access_expires_at_ms: seconds("expires_at"),
        ..DiscoverResponse::default()
    };
    let left = found.access_expires_at_ms - ctx.clock.now_ms();
    let short_lived = found.access_expires_at_ms > 0 && debug["issued_at"].is_null() && left < DAY;
    Ok(Grant {
        found,
        granular: debug["granular_scopes"].clone(),
        short_lived,
    })
}

impl Grant {
    pub(crate) fn has(&self, scope: &str) -> bool {
        self.found.granted_scopes.iter().any(|granted| granted == scope)
    }

    /// Whether a permission was given for one asset; an entry without ids is for all.
    pub(crate) fn covers(&self, scope: &str, id: &str) -> bool {
        let entries = self.granular.as_array().map(Vec::as_slice).unwrap_or_default();
        let entry = entries.iter().find(|entry| entry["scope"] == scope);
        let ids = entry.and_then(|entry| entry["target_ids"].as_array());
        self.has(scope) && ids.is_none_or(|ids| ids.iter().any(|target| classify::text(target) == id))
    }

    /// `can_publish` and `publish_problem`: the permission for this asset, and a task of the Page that allows it.
    pub(crate) fn publish(&self, scope: &str, id: &str, page: &Value) -> (bool, String) {
        let tasks = page["tasks"].as_array().map(Vec::as_slice);
        let may = tasks.is_none_or(|tasks| {
            tasks
                .iter()
                .any(|task| PUBLISHING_TASKS.iter().any(|known| task == known))
        });
        let problem = match (self.covers(scope, id), may) {
            (false, _) => discovery::PERMISSION_MISSING,
            (true, false) => discovery::ROLE_LOST,
            (true, true) => "",
        };
        (problem.is_empty(), problem.to_owned())
    }

    /// When a Page token made from this grant ends: never, unless the grant's own token is a short one.
    pub(crate) fn page_token_end_ms(&self) -> i64 {
        if self.short_lived {
            self.found.access_expires_at_ms
        } else {
            0
        }
    }

    /// Every Page that the grant reaches: the person's own and those of their businesses.
    pub(crate) async fn pages(&self, ctx: &Ctx, credential: &Credential, fields: &str) -> Result<Vec<Value>> {
        if !self.has("pages_show_list") {
            return Ok(Vec::new());
        }
        let (user, token) = (&self.found.platform_user_id, &credential.access_token);
        let query = vec![("fields", fields.to_owned()), ("limit", "100".to_owned())];
        let mut pages = list(ctx, user, token, "/me/accounts", &query).await?;
        if self.has("business_management") {
            let businesses = list(ctx, user, token, "/me/businesses", &vec![("fields", "id".to_owned())]).await?;
            for business in businesses.iter().map(|business| classify::text(&business["id"])) {
                for edge in ["owned_pages", "client_pages"] {
                    match list(ctx, user, token, &format!("/{business}/{edge}"), &query).await {
                        Ok(more) => pages.extend(more),
                        // A business may keep its Pages from this person.
                        Err(error) if matches!(error.class(), ErrorClass::PermissionMissing | ErrorClass::NotFound) => {
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        let mut seen = std::collections::HashSet::new();
        pages.retain(|page| seen.insert(classify::text(&page["id"])));
        Ok(pages)
    }
}

/// The call that makes a long-lived token out of a short one, or a later one out of a long one.
pub(crate) fn exchange_call(spec: &Spec, app: &App, step: &'static str, token: &str) -> Outgoing {
    let query = vec![
        ("grant_type", "fb_exchange_token".to_owned()),
        ("fb_exchange_token", token.to_owned()),
    ];
    oauth::token_call(spec, app, step, query)
}

/// The short-lived token of an exchange that has not gone on yet.
pub(crate) fn short_token(answers: &[RawAnswer]) -> Option<String> {
    match answers {
        [code] if code.step == "code" && reply::accepted(code) => TokenReply::read(&code.body).access_token,
        _ => None,
    }
}

/// Gives the whole grant of a person back, by their own token or by the app's when that one is dead.
pub(crate) async fn revoke(ctx: &Ctx, credential: &Credential, user_id: &str) -> Result<()> {
    let delete = |token: String| Outgoing {
        step: "revoke",
        method: Method::DELETE,
        url: ctx.api(&format!("/{{version}}/{user_id}/permissions")),
        query: signed(ctx, &token, Query::new()),
        headers: Vec::new(),
        body: Body::Empty,
    };
    let own = match credential.access_token.as_str() {
        "" => None,
        token => Some(ctx.call("", delete(token.to_owned())).await),
    };
    let result = match own {
        Some(Err(error)) if discovery::is_dead(&error) => ctx.call("", delete(app_token(ctx))).await,
        Some(result) => result,
        None => ctx.call("", delete(app_token(ctx))).await,
    };
    match result {
        // Nothing is left to give back.
        Err(error) if error.class() == ErrorClass::NotFound => Ok(()),
        other => other.map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_cursor_of_the_next_page_is_taken() {
        let paging = json!({"cursors": {"after": "QVFJ"}, "next": "https://evil.test/v25.0/me/accounts?access_token=SBX&after=QVFJ2"});
        assert_eq!(next_page(&paging), Some(("after", "QVFJ2".to_owned())));
        let paging = json!({"cursors": {"after": "QVFJ"}, "next": "https://graph.facebook.com/v25.0/me/accounts"});
        assert_eq!(next_page(&paging), Some(("after", "QVFJ".to_owned())));
        assert_eq!(next_page(&json!({"cursors": {"after": "QVFJ"}})), None);
    }

    fn grant(scopes: &[&str], granular: Value) -> Grant {
        let granted_scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        Grant {
            found: DiscoverResponse {
                granted_scopes,
                ..DiscoverResponse::default()
            },
            granular,
            short_lived: false,
        }
    }

    #[test]
    fn publishing_needs_the_permission_for_this_page_and_a_task() {
        let granular = json!([{"scope": "pages_manage_posts", "target_ids": ["104"]}, {"scope": "pages_show_list"}]);
        let granted = grant(&["pages_manage_posts", "pages_show_list"], granular);
        let page = |tasks: Value| json!({ "id": "104", "tasks": tasks });
        let may = |id, tasks| granted.publish("pages_manage_posts", id, &page(tasks)).1;
        assert_eq!(may("104", json!(["CREATE_CONTENT"])), "");
        assert_eq!(may("104", json!(["MANAGE"])), "");
        assert_eq!(may("104", json!(["ANALYZE"])), "platform_role_lost");
        assert_eq!(may("105", json!(["MANAGE"])), "permission_missing");
        assert!(granted.covers("pages_show_list", "any"));
        assert_eq!(
            grant(&[], Value::Null)
                .publish("pages_manage_posts", "104", &page(json!(["MANAGE"])))
                .1,
            "permission_missing"
        );
    }
}
