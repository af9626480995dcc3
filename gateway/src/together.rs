//! Many small questions in one call.
//!
//! A question goes out at once while few calls are under way; when they are not, it waits with the others that came
//! meanwhile and they go out together. A call begins after its questions were put, so an answer is never older than its
//! question, and a busy gateway makes few calls.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use kit::{Code, Failure};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tonic::Status;

/// Calls that may be under way.
const CALLS: usize = 4;
/// Questions in one call.
const MOST: usize = 500;
/// Questions that may wait; more means that nobody answers.
const WAITING: usize = 10_000;

type Asked<Q, A> = (Q, oneshot::Sender<Result<A, Status>>);

/// Puts questions of one kind.
pub(crate) struct Together<Q, A>(mpsc::Sender<Asked<Q, A>>);

impl<Q, A> Together<Q, A>
where
    Q: Clone + Eq + Hash + Send + 'static,
    A: Clone + Send + 'static,
{
    /// `call` answers questions in their order. Needs a runtime.
    pub(crate) fn new<F>(call: impl Fn(Vec<Q>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Vec<A>, Status>> + Send + 'static,
    {
        let (sender, mut waiting) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            let calls = Arc::new(Semaphore::new(CALLS));
            let mut asked = Vec::new();
            while let Ok(place) = calls.clone().acquire_owned().await {
                if waiting.recv_many(&mut asked, MOST).await == 0 {
                    return;
                }
                let (questions, whose) = gather(std::mem::take(&mut asked));
                let answers = call(questions);
                tokio::spawn(async move {
                    let answers = answers.await;
                    drop(place);
                    hand_out(answers, whose);
                });
            }
        });
        Self(sender)
    }

    /// The answer to one question, as it is now.
    pub(crate) async fn ask(&self, question: Q) -> Result<A, Status> {
        let (sender, answer) = oneshot::channel();
        let nobody = || Status::from(Failure::new(Code::Unavailable, "too much waits for an answer"));
        self.0.try_send((question, sender)).map_err(|_| nobody())?;
        answer.await.unwrap_or_else(|_| Err(nobody()))
    }
}

/// Each question once, and which of them each asker put.
type Whose<A> = Vec<(usize, oneshot::Sender<Result<A, Status>>)>;

fn gather<Q: Clone + Eq + Hash, A>(asked: Vec<Asked<Q, A>>) -> (Vec<Q>, Whose<A>) {
    let (mut questions, mut places, mut whose) = (Vec::new(), HashMap::new(), Vec::with_capacity(asked.len()));
    for (question, asker) in asked {
        let place = *places.entry(question).or_insert_with_key(|question| {
            questions.push(question.clone());
            questions.len() - 1
        });
        whose.push((place, asker));
    }
    (questions, whose)
}

fn hand_out<A: Clone>(answers: Result<Vec<A>, Status>, whose: Whose<A>) {
    for (place, asker) in whose {
        let answer = match &answers {
            Ok(answers) => answers
                .get(place)
                .cloned()
                .ok_or_else(|| Failure::new(Code::Internal, "a question was not answered").into()),
            Err(status) => Err(status.clone()),
        };
        // An asker that went away needs none.
        let _ = asker.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::future::join_all;

    use super::*;

    /// A service that notes its calls and answers when it is told to.
    fn service(calls: &Arc<Mutex<Vec<Vec<u32>>>>, open: &Arc<Semaphore>) -> Together<u32, u32> {
        let (calls, open) = (calls.clone(), open.clone());
        Together::new(move |questions: Vec<u32>| {
            calls.lock().unwrap().push(questions.clone());
            let open = open.clone();
            async move {
                let _place = open.acquire().await.unwrap();
                Ok(questions.iter().map(|question| question * 10).collect())
            }
        })
    }

    #[tokio::test]
    async fn questions_that_wait_go_out_together_each_once_and_everybody_is_answered_in_order() {
        let (calls, open) = (Arc::default(), Arc::new(Semaphore::new(0)));
        let together = service(&calls, &open);
        let asked = join_all((0..40).map(|n| together.ask(n % 8)));
        let opened = async {
            // What was asked before anybody looked goes out in one call.
            while calls.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            open.add_permits(100);
        };
        let (answers, ()) = tokio::join!(asked, opened);
        let answers = answers.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(answers, (0..40).map(|n| n % 8 * 10).collect::<Vec<_>>());
        let calls = calls.lock().unwrap();
        assert!(calls.len() < 40, "{} calls", calls.len());
        for call in calls.iter() {
            let mut once = call.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), call.len(), "a question twice in one call");
        }
    }

    #[tokio::test]
    async fn a_question_is_answered_by_a_call_that_began_after_it() {
        let now = Arc::new(Mutex::new(0));
        let (seen, open) = (now.clone(), Arc::new(Semaphore::new(0)));
        let gate = open.clone();
        let together = Arc::new(Together::new(move |questions: Vec<()>| {
            let (value, gate) = (*seen.lock().unwrap(), gate.clone());
            async move {
                let _place = gate.acquire().await.unwrap();
                Ok(vec![value; questions.len()])
            }
        }));
        let early = tokio::spawn({
            let together = together.clone();
            async move { together.ask(()).await }
        });
        tokio::task::yield_now().await;
        *now.lock().unwrap() = 1;
        let late = tokio::spawn(async move { together.ask(()).await });
        tokio::task::yield_now().await;
        open.add_permits(10);
        early.await.unwrap().unwrap();
        assert_eq!(late.await.unwrap().unwrap(), 1, "the change came before the question");
    }
}
