//! The two forms of the hub, and running a test in each.

use anyhow::Context;

use crate::{Cluster, Hub, Layout, Outcome, servers};

/// How the hub runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All services in this process, SQLite, memory instead of Redis.
    Embedded,
    /// Every role a process of its own, two of tokens, platforms and gateway, on PostgreSQL and Redis.
    Processes,
}

impl Form {
    /// The forms to test: both, or those that `TEST_FORMS` names (`embedded`, `processes`). Separate processes are left
    /// out where there is no PostgreSQL; tests/run always provides one.
    #[expect(clippy::disallowed_methods, reason = "a choice of the person who runs the tests")]
    fn chosen() -> Vec<Self> {
        let named = std::env::var("TEST_FORMS").unwrap_or_default();
        let wanted = |name: &str| named.is_empty() || named.split(',').any(|one| one.trim() == name);
        let mut forms = Vec::new();
        if wanted("embedded") {
            forms.push(Self::Embedded);
        }
        if wanted("processes") && (servers::available() || !named.is_empty()) {
            forms.push(Self::Processes);
        }
        forms
    }
}

/// Runs `test` against a fresh cluster of each form.
pub async fn each_form(test: impl AsyncFn(&Cluster) -> Outcome) -> Outcome {
    each_form_with(&[], test).await
}

/// As [`each_form`], with `section.key` settings of its own.
pub async fn each_form_with(settings: &[(&str, &str)], test: impl AsyncFn(&Cluster) -> Outcome) -> Outcome {
    for form in Form::chosen() {
        Box::pin(run(form, settings, &test)).await?;
    }
    Ok(())
}

/// Runs `test` against the hub in this process only: for tests that move its clock.
pub async fn in_one_process(test: impl AsyncFn(&Cluster) -> Outcome) -> Outcome {
    if Form::chosen().contains(&Form::Embedded) {
        Box::pin(run(Form::Embedded, &[], &test)).await?;
    }
    Ok(())
}

/// True where separate processes can be had and were not left out.
pub fn separate_processes_wanted() -> bool {
    Form::chosen().contains(&Form::Processes)
}

/// Runs `test` against separate processes only, where they can be had: for tests that stop and kill them.
pub async fn separate_processes(test: impl AsyncFn(&Cluster, &Hub) -> Outcome) -> Outcome {
    separate_processes_with(&[], test).await
}

/// As [`separate_processes`], with `section.key` settings of its own.
pub async fn separate_processes_with(
    settings: &[(&str, &str)],
    test: impl AsyncFn(&Cluster, &Hub) -> Outcome,
) -> Outcome {
    separate_processes_as(Layout::default(), settings, test).await
}

/// As [`separate_processes_with`], with processes of the test's choice.
pub async fn separate_processes_as(
    layout: Layout,
    settings: &[(&str, &str)],
    test: impl AsyncFn(&Cluster, &Hub) -> Outcome,
) -> Outcome {
    if !separate_processes_wanted() {
        return Ok(());
    }
    let test = async |cluster: &Cluster| test(cluster, cluster.hub().context("no processes")?).await;
    let cluster = Cluster::start_as(Form::Processes, layout, settings).await?;
    Box::pin(ending(cluster, &test)).await
}

async fn run(form: Form, settings: &[(&str, &str)], test: &impl AsyncFn(&Cluster) -> Outcome) -> Outcome {
    ending(Cluster::start(form, settings).await?, test).await
}

async fn ending(cluster: Cluster, test: &impl AsyncFn(&Cluster) -> Outcome) -> Outcome {
    let form = cluster.form();
    let outcome = test(&cluster).await;
    if outcome.is_err() {
        cluster.report();
    }
    cluster.stop().await?;
    outcome.map_err(|error| error.context(format!("in the form {form:?}")))
}
