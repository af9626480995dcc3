//! Sealed columns of the store: bound to their place, sealed anew, and missed keys noticed.

use kit::Failure;
use kit::seal::KeyRing;
use tokens::store::Store;
use tokens::vault::Vault;

use crate::world::{NEW, OLD, worlds};

#[tokio::test]
async fn g8_a_credential_in_another_row_or_of_another_generation_does_not_open() {
    for world in worlds(false).await {
        let (one, other) = (
            world.connect("demo", "cs_1", 1).await,
            world.connect("other", "cs_2", 1).await,
        );
        let swap =
            "UPDATE grants SET sealed_credential = (SELECT sealed_credential FROM grants WHERE id = $1) WHERE id = $2";
        sqlx::query(swap)
            .bind(&one.id)
            .bind(&other.id)
            .execute(world.db.pool())
            .await
            .unwrap();
        let stored = world.store.grant("other", &other.id).await.unwrap().unwrap();
        let refused = Failure::from(world.store.credential(&stored).err().unwrap());
        assert_eq!(refused.code, kit::Code::Internal);
        sqlx::query("UPDATE grants SET generation = 7 WHERE id = $1")
            .bind(&one.id)
            .execute(world.db.pool())
            .await
            .unwrap();
        let stored = world.store.grant("demo", &one.id).await.unwrap().unwrap();
        assert!(world.store.credential(&stored).is_err());
    }
}

#[tokio::test]
async fn g9_an_older_credential_put_back_into_its_own_row_does_not_open() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        let read = "SELECT sealed_credential FROM grants WHERE id = $1";
        let older: Vec<u8> = sqlx::query_scalar(read)
            .bind(&grant.id)
            .fetch_one(world.db.pool())
            .await
            .unwrap();
        let attempt = world.claimed(&grant, "att_1").await;
        world.apply(&attempt, 2).await;
        let current = world.store.grant("demo", &grant.id).await.unwrap().unwrap();
        assert!(world.store.credential(&current).is_ok());
        sqlx::query("UPDATE grants SET sealed_credential = $2 WHERE id = $1")
            .bind(&grant.id)
            .bind(older)
            .execute(world.db.pool())
            .await
            .unwrap();
        let back = world.store.grant("demo", &grant.id).await.unwrap().unwrap();
        assert!(world.store.credential(&back).is_err(), "a spent credential opens");
    }
}

#[tokio::test]
async fn g12_a_ring_without_a_key_that_still_seals_something_is_noticed() {
    for world in worlds(false).await {
        let with = |ring: &[&str]| {
            let ring = KeyRing::parse(ring.iter().copied()).unwrap();
            Store::new(world.db.clone(), Vault::new(ring))
        };
        let (old, both, new) = (with(&[OLD]), with(&[NEW, OLD]), with(&[NEW]));
        old.note_sealing_key().await.unwrap();
        world.connect("demo", "cs_1", 1).await;
        both.note_sealing_key().await.unwrap();
        assert!(both.missing_keys().await.unwrap().is_empty());
        assert_eq!(new.missing_keys().await.unwrap(), ["old"]);
        both.reseal().await.unwrap();
        assert!(new.missing_keys().await.unwrap().is_empty());
        assert_eq!(
            old.missing_keys().await.unwrap(),
            ["new"],
            "a replica with the old ring alone"
        );
    }
}

#[tokio::test]
async fn g10_g12_everything_is_sealed_anew_and_only_then_the_old_key_is_unused() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        let rotated = Store::new(world.db.clone(), Vault::new(KeyRing::parse([NEW, OLD]).unwrap()));
        let (resealed, used) = rotated.reseal().await.unwrap();
        // The credential of the grant, and what the exchange discovered.
        assert_eq!(
            (resealed, used.into_iter().collect::<Vec<_>>()),
            (2, vec!["new".to_owned()])
        );
        let only_new = Store::new(world.db.clone(), Vault::new(KeyRing::parse([NEW]).unwrap()));
        let stored = only_new.grant("demo", &grant.id).await.unwrap().unwrap();
        assert_eq!(only_new.credential(&stored).unwrap().unwrap().access_token, "access-1");
        assert_eq!(rotated.reseal().await.unwrap().0, 0);
    }
}
