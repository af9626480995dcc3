//! LinkedIn's API below `/v2` (unversioned) and `/rest` (every call names a version): members, roles, organisations, posts.

use serde_json::{Map, Value, json};

use super::api_error;
use crate::call::Reply;
use crate::platform::{Cx, Platform};
use crate::switches::Effect;
use crate::world::people::{Organization, Person};
use crate::world::posts::Media;
use crate::world::tokens::{Death, Grant, Kind};

/// Oldest version that is still active.
const OLDEST_VERSION: u32 = 202_511;
const COUNT_LIMIT: usize = 100;
const TEXT_LIMIT: usize = 3000;
const POSTING_ROLES: [&str; 3] = ["ADMINISTRATOR", "CONTENT_ADMINISTRATOR", "CONTENT_ADMIN"];
const ORGANIZATION: &str = "urn:li:organization:";

pub(super) fn route(cx: &mut Cx<'_>, path: &[&str]) -> Result<Reply, Reply> {
    let caller = authenticate(cx)?;
    if path.first() == Some(&"rest") {
        check_version(cx)?;
    }
    match (cx.call.method.as_str(), path) {
        ("GET", ["v2", "userinfo"]) => userinfo(cx, &caller),
        ("GET", ["v2", "me"]) => me(&caller),
        ("GET", ["v2" | "rest", "organizationAcls"]) => acls(cx, &caller),
        ("GET", ["rest", "organizations"]) => organizations(cx, &caller),
        ("GET", ["rest", "posts"]) => posts(cx, &caller),
        ("POST", ["rest", "posts"]) => publish(cx, &caller),
        _ => Err(api_error(404, Some(0), "NOT_FOUND", "Could not find entity")),
    }
}

struct Caller {
    person: Person,
    grant: Grant,
}

fn authenticate(cx: &Cx<'_>) -> Result<Caller, Reply> {
    if let Some(Effect::ApiError { status, code, message }) = cx
        .effects
        .find(|effect| matches!(effect, Effect::ApiError { .. }).then_some(effect))
    {
        return Err(api_error(*status, None, code, message.as_deref().unwrap_or(code)));
    }
    let invalid = || api_error(401, Some(65_600), "INVALID_ACCESS_TOKEN", "Invalid access token");
    let value = cx.call.bearer();
    let value = value.ok_or_else(|| api_error(401, Some(401), "EMPTY_ACCESS_TOKEN", "Empty oauth2_access_token"))?;
    let token = cx
        .world
        .token(value)
        .filter(|token| token.platform == Platform::LinkedIn && token.kind == Kind::Access);
    let token = token.ok_or_else(invalid)?;
    cx.world.check(token).map_err(|death| match death {
        Death::Expired => api_error(
            401,
            Some(65_602),
            "EXPIRED_ACCESS_TOKEN",
            "The token used in the request has expired",
        ),
        _ => api_error(
            401,
            Some(65_601),
            "REVOKED_ACCESS_TOKEN",
            "The token used in the request has been revoked by the user",
        ),
    })?;
    let (Some(grant), Some(person)) = (cx.world.grant(token.grant), cx.world.person(&token.person)) else {
        return Err(invalid());
    };
    Ok(Caller {
        person: person.clone(),
        grant: grant.clone(),
    })
}

pub(super) fn version_retired(version: &str) -> Reply {
    api_error(
        426,
        None,
        "NONEXISTENT_VERSION",
        &format!("Requested version {version} is not active"),
    )
}

fn check_version(cx: &Cx<'_>) -> Result<(), Reply> {
    let Some(version) = cx.call.header("linkedin-version") else {
        let message = "A version must be present. Please specify a version by adding the LinkedIn-Version header.";
        return Err(api_error(400, None, "VERSION_MISSING", message));
    };
    let number = version
        .parse::<u32>()
        .ok()
        .filter(|number| version.len() == 6 && (1..=12).contains(&(number % 100)));
    if number.is_none_or(|number| number < OLDEST_VERSION) {
        return Err(version_retired(version));
    }
    if cx.call.header("x-restli-protocol-version") != Some("2.0.0") {
        let message = "X-Restli-Protocol-Version must be 2.0.0";
        return Err(api_error(400, None, "ILLEGAL_ARGUMENT", message));
    }
    Ok(())
}

fn denied(what: &str) -> Reply {
    api_error(
        403,
        Some(100),
        "ACCESS_DENIED",
        &format!("Not enough permissions to access: {what}"),
    )
}

fn userinfo(cx: &Cx<'_>, caller: &Caller) -> Result<Reply, Reply> {
    if !caller.grant.has_all(&["openid", "profile"]) {
        return Err(denied("userinfo.GET.NO_VERSION"));
    }
    let (given, family) = caller.person.name_parts();
    let sub = caller.person.linkedin_id.as_deref().unwrap_or_default();
    let mut body = json!({
        "sub": sub, "name": caller.person.name, "given_name": given, "family_name": family,
        "picture": format!("{}/avatars/{sub}.png", cx.call.base), "locale": {"country": "US", "language": "en"},
    });
    if caller.grant.has("email") {
        body["email"] = json!(format!("{}@example.test", caller.person.id));
        body["email_verified"] = json!(true);
    }
    Ok(Reply::json(200, &body))
}

fn me(caller: &Caller) -> Result<Reply, Reply> {
    if !caller.grant.has("r_basicprofile") {
        return Err(denied("me.GET.NO_VERSION"));
    }
    let (first, last) = caller.person.name_parts();
    Ok(Reply::json(
        200,
        &json!({
            "id": caller.person.linkedin_id, "localizedFirstName": first, "localizedLastName": last,
            "vanityName": caller.person.username,
        }),
    ))
}

fn may_see_roles(caller: &Caller) -> bool {
    caller.grant.has("rw_organization_admin") || caller.grant.has("r_organization_admin")
}

/// `start` and `count` of a finder.
fn window(cx: &Cx<'_>) -> Result<(usize, usize), Reply> {
    let number = |name: &str, usual: usize| match cx.call.query.first(name) {
        None => Ok(usual),
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| api_error(400, Some(100), "ILLEGAL_ARGUMENT", &format!("{name} must be a number"))),
    };
    Ok((number("start", 0)?, number("count", 10)?.clamp(1, COUNT_LIMIT)))
}

fn listed(cx: &Cx<'_>, elements: Vec<Value>) -> Result<Reply, Reply> {
    let (start, count) = window(cx)?;
    let more = elements.len() > start + count;
    let shown: Vec<Value> = elements.into_iter().skip(start).take(count).collect();
    let link = || {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(
            cx.call
                .query
                .pairs()
                .filter(|(name, _)| !matches!(*name, "start" | "count")),
        );
        query
            .append_pair("start", &(start + count).to_string())
            .append_pair("count", &count.to_string());
        json!({"rel": "next", "type": "application/json", "href": format!("{}?{}", cx.call.path, query.finish())})
    };
    let links: Vec<Value> = more.then(link).into_iter().collect();
    let paging = json!({"count": count, "start": start, "links": links});
    Ok(Reply::json(200, &json!({"elements": shown, "paging": paging})))
}

fn acls(cx: &Cx<'_>, caller: &Caller) -> Result<Reply, Reply> {
    if !may_see_roles(caller) {
        return Err(denied("organizationAcls.FINDER-roleAssignee.20260701"));
    }
    if cx.call.query.first("q") != Some("roleAssignee") {
        return Err(api_error(400, Some(100), "ILLEGAL_ARGUMENT", "q must be roleAssignee"));
    }
    let wanted = cx.call.query.first("role");
    let key = cx.world.profile.linkedin_acl_key.name();
    let member = caller.person.linkedin_id.as_deref().unwrap_or_default();
    let own = cx
        .world
        .organizations
        .iter()
        .filter_map(|one| Some((one, one.role(caller.person.id)?)));
    let elements = own
        .filter(|(_, role)| wanted.is_none_or(|wanted| wanted == *role))
        .map(|(one, role)| {
            let mut element =
                json!({"role": role, "roleAssignee": format!("urn:li:person:{member}"), "state": "APPROVED"});
            element[key] = json!(format!("{ORGANIZATION}{}", one.id));
            element
        });
    listed(cx, elements.collect())
}

/// `ids=List(1,2)`; organisations without a role are not shown.
fn organizations(cx: &Cx<'_>, caller: &Caller) -> Result<Reply, Reply> {
    if !may_see_roles(caller) {
        return Err(denied("organizations.BATCH_GET.20260701"));
    }
    let ids = cx
        .call
        .query
        .first("ids")
        .and_then(|ids| ids.strip_prefix("List(")?.strip_suffix(')'));
    let ids = ids.ok_or_else(|| api_error(400, Some(100), "ILLEGAL_ARGUMENT", "ids must be List(…)"))?;
    let (mut results, mut statuses, mut errors) = (Map::new(), Map::new(), Map::new());
    for id in ids.split(',').map(str::trim) {
        if let Some(one) = cx
            .world
            .organization(id)
            .filter(|one| one.role(caller.person.id).is_some())
        {
            results.insert(id.to_owned(), node(one));
        } else {
            statuses.insert(id.to_owned(), json!(404));
            errors.insert(
                id.to_owned(),
                json!({"status": 404, "message": "Could not find entity"}),
            );
        }
    }
    Ok(Reply::json(
        200,
        &json!({"results": results, "statuses": statuses, "errors": errors}),
    ))
}

fn node(one: &Organization) -> Value {
    let id = one.id.parse::<u64>().unwrap_or_default();
    json!({"id": id, "localizedName": one.name, "vanityName": one.vanity})
}

fn posting_role(cx: &Cx<'_>, caller: &Caller, organization: &str) -> bool {
    let role = cx
        .world
        .organization(organization)
        .and_then(|one| one.role(caller.person.id));
    role.is_some_and(|role| POSTING_ROLES.contains(&role))
}

fn share(number: u64) -> String {
    format!("urn:li:share:{}", 7_000_000_000_000_000_000 + number)
}

/// Only posts of organisations: a member's own are closed to most apps.
fn posts(cx: &Cx<'_>, caller: &Caller) -> Result<Reply, Reply> {
    let author = cx.call.query.first("author").unwrap_or_default();
    if cx.call.query.first("q") != Some("author") || author.is_empty() {
        return Err(api_error(
            400,
            Some(100),
            "ILLEGAL_ARGUMENT",
            "q must be author, with an author",
        ));
    }
    let role = author
        .strip_prefix(ORGANIZATION)
        .is_some_and(|id| posting_role(cx, caller, id));
    if !role || !caller.grant.has("r_organization_social") {
        return Err(denied("partnerApiPostsExternal.FINDER-author.20260701"));
    }
    let elements = cx.world.posts_of(author).into_iter().map(|post| {
        let mut element = json!({
            "id": share(post.number), "author": author, "commentary": post.text, "publishedAt": post.created_at_ms,
            "lifecycleState": "PUBLISHED", "visibility": "PUBLIC",
        });
        if post.media != Media::Text {
            element["content"] = json!({"media": {"id": format!("urn:li:image:SBX{}", post.number)}});
        }
        element
    });
    listed(cx, elements.collect())
}

fn publish(cx: &mut Cx<'_>, caller: &Caller) -> Result<Reply, Reply> {
    let invalid = |message: &str| api_error(422, Some(100), "UNPROCESSABLE_ENTITY", message);
    let body = cx
        .call
        .json
        .as_ref()
        .ok_or_else(|| api_error(400, Some(100), "ILLEGAL_ARGUMENT", "The body must be JSON"))?;
    let text = |name: &str| body[name].as_str().filter(|value| !value.is_empty());
    let author = text("author")
        .ok_or_else(|| invalid("author :: field is required but not found"))?
        .to_owned();
    let commentary = text("commentary").ok_or_else(|| invalid("commentary :: field is required but not found"))?;
    if commentary.chars().count() > TEXT_LIMIT {
        return Err(invalid("commentary :: longer than 3000 characters"));
    }
    if text("visibility") != Some("PUBLIC") && text("visibility") != Some("CONNECTIONS") {
        return Err(invalid("visibility :: field is required but not found"));
    }
    if text("lifecycleState") != Some("PUBLISHED") || body["distribution"]["feedDistribution"].as_str().is_none() {
        return Err(invalid("lifecycleState and distribution.feedDistribution are required"));
    }
    let member = format!(
        "urn:li:person:{}",
        caller.person.linkedin_id.as_deref().unwrap_or_default()
    );
    let allowed = match author.strip_prefix(ORGANIZATION) {
        Some(id) => caller.grant.has("w_organization_social") && posting_role(cx, caller, id),
        None => caller.grant.has("w_member_social") && author == member,
    };
    if !allowed {
        return Err(denied("partnerApiPostsExternal.CREATE.20260701"));
    }
    if cx.world.is_duplicate(&author, commentary) {
        return Err(invalid("Content is a duplicate of another post"));
    }
    let id = share(cx.world.publish(&author, commentary, Media::Text, None));
    Ok(Reply::empty(201).with("x-restli-id", &id))
}
