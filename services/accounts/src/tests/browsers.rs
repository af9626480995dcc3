//! Sessions of browsers: when they end, and who may change them.

use std::time::Duration;

use kit::{Code, id};
use proto::accounts::v1 as pb;

use super::{World, code, everywhere};

const MINUTE: Duration = Duration::from_secs(60);

fn session(user_id: &str) -> pb::BrowserSession {
    pb::BrowserSession {
        user_id: user_id.into(),
        memberships: vec![pb::Membership {
            workspace_id: "acme".into(),
            role: "owner".into(),
        }],
        sealed_credential: vec![1, 2, 3],
        ..pb::BrowserSession::default()
    }
}

async fn create(world: &World, cookie: &str, replaces: &str, user_id: &str) -> pb::BrowserSession {
    let request = pb::CreateBrowserSessionRequest {
        id_hash: id::sha256(cookie.as_bytes()).to_vec(),
        replaces_hash: id::sha256(replaces.as_bytes()).to_vec(),
        session: Some(session(user_id)),
    };
    world.hub.create_browser_session(request).await.unwrap()
}

async fn get(world: &World, cookie: &str, active: bool) -> Result<pb::BrowserSession, crate::error::Error> {
    let id_hash = id::sha256(cookie.as_bytes()).to_vec();
    world
        .hub
        .browser_session(&pb::GetBrowserSessionRequest { id_hash, active })
        .await
}

/// A person of this world alone: the tests share one PostgreSQL.
fn person(world: &World) -> String {
    format!("usr_{}", world.workspace)
}

#[tokio::test]
async fn b10_a_new_session_ends_the_one_that_the_browser_had_before() {
    everywhere(|world| async move {
        let (old, new) = (id::secret(), id::secret());
        create(&world, &old, "", &person(&world)).await;
        create(&world, &new, &old, &person(&world)).await;
        assert_eq!(code(get(&world, &old, true).await), Code::NotFound);
        assert_eq!(get(&world, &new, true).await.unwrap().user_id, person(&world));
    })
    .await;
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_when_its_life_is_over() {
    everywhere(|world| async move {
        let (idle, busy) = (id::secret(), id::secret());
        create(&world, &idle, "", &person(&world)).await;
        create(&world, &busy, "", &person(&world)).await;
        for _ in 0..24 * 2 - 1 {
            world.clock.advance(30 * MINUTE);
            get(&world, &busy, true).await.unwrap();
            // A look without the person keeps nothing alive.
            let _ = get(&world, &idle, false).await;
        }
        assert_eq!(code(get(&world, &idle, true).await), Code::NotFound);
        world.clock.advance(31 * MINUTE);
        assert_eq!(code(get(&world, &busy, true).await), Code::NotFound);
    })
    .await;
}

#[tokio::test]
async fn b11_signing_out_ends_one_browser_or_all_of_the_person_at_once() {
    everywhere(|world| async move {
        let cookies = [id::secret(), id::secret(), id::secret(), id::secret()];
        for cookie in &cookies[..3] {
            create(&world, cookie, "", &person(&world)).await;
        }
        create(&world, &cookies[3], "", &format!("{}_other", person(&world))).await;
        let end = |cookie: &str, everywhere| pb::EndBrowserSessionRequest {
            id_hash: id::sha256(cookie.as_bytes()).to_vec(),
            everywhere,
        };
        let ended = world.hub.end_browser_session(&end(&cookies[0], false)).await.unwrap();
        assert_eq!(ended.unwrap().sealed_credential, [1, 2, 3]);
        assert_eq!(code(get(&world, &cookies[0], true).await), Code::NotFound);
        assert!(get(&world, &cookies[1], true).await.is_ok());
        world.hub.end_browser_session(&end(&cookies[1], true)).await.unwrap();
        assert_eq!(code(get(&world, &cookies[2], true).await), Code::NotFound);
        assert!(get(&world, &cookies[3], true).await.is_ok(), "somebody else's goes on");
        assert!(
            world
                .hub
                .end_browser_session(&end(&cookies[0], true))
                .await
                .unwrap()
                .is_none()
        );
    })
    .await;
}

#[tokio::test]
async fn of_several_gateways_one_spends_the_refresh_token_and_an_older_answer_changes_nothing() {
    everywhere(|world| async move {
        let cookie = id::secret();
        create(&world, &cookie, "", &person(&world)).await;
        let id_hash = id::sha256(cookie.as_bytes()).to_vec();
        let lease = pb::LeaseBrowserSessionRequest {
            id_hash: id_hash.clone(),
            version: 1,
        };
        assert!(world.hub.lease_browser_session(&lease).await.unwrap());
        assert!(!world.hub.lease_browser_session(&lease).await.unwrap());
        let update = pb::UpdateBrowserSessionRequest {
            id_hash,
            session: Some(pb::BrowserSession {
                version: 1,
                memberships: Vec::new(),
                ..session(&person(&world))
            }),
        };
        assert!(world.hub.update_browser_session(update.clone()).await.unwrap());
        assert!(!world.hub.update_browser_session(update).await.unwrap());
        let now = get(&world, &cookie, true).await.unwrap();
        assert_eq!((now.version, now.memberships.len()), (2, 0));
        assert!(
            !world.hub.lease_browser_session(&lease).await.unwrap(),
            "of an old version"
        );
        world.clock.advance(MINUTE);
        let lease = pb::LeaseBrowserSessionRequest { version: 2, ..lease };
        assert!(world.hub.lease_browser_session(&lease).await.unwrap());
    })
    .await;
}
