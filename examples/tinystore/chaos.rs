//! Kills shards, tasks and whole node processes at random while questions are being answered, and compares every answer
//! with the undisturbed one.
//!
//! A killed task's part is submitted again (`gather.rs`). A shard is killed by way of its steward: the
//! supervisor starts the steward again, which places a new shard, and that one reads the log
//! (`steward.rs`); calls that met the gap are repeated. Of a killed node, its shards are placed
//! elsewhere, and another process is started in its stead. None of this may change a single bit of
//! an answer, so bits are what is compared.
//!
//! An answer may be quicker than every kill that was meant for it, and then its being right says
//! nothing. So on one node a run begins with a shard and a task, whatever the dice say, and while it
//! had not both it goes on beyond its rounds, up to [`ROUNDS_MORE_MAX`]; on several, each question does that
//! until a node was killed while it was answered.

use std::{future, pin::pin};

use mobula::{Kind as Citizen, prelude::*};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::{
    as_of::History,
    engine::Engine,
    json,
    moment::{DAY, HOUR},
    processes::Processes,
    query::{Answer, Apply, Rows, Select, Window},
    screen::Screen,
    steward::Steward,
    value::{Kind, Value},
};

/// How many kills one answer has to survive.
const KILLS_PER_ANSWER: u32 = 3;

/// How often a question is asked beyond its rounds, if nothing was there long enough to be killed.
const ROUNDS_MORE_MAX: u32 = 100;

/// Asks every question `rounds` times under fire and shows what happened.
///
/// # Errors
/// Any answer that differed, and whatever else went wrong.
pub(crate) async fn run(
    engine: &Engine,
    (seed, rounds): (u64, u32),
    screen: &mut Screen,
    processes: &mut Processes,
) -> anyhow::Result<()> {
    let process_count = processes.count();
    let mut killer = Killer::new(engine.shards(), processes, seed);
    let shown = if process_count == 0 { 2 } else { 3 };
    let mut rows = Vec::new();
    let mut different = 0;
    let questions = questions(engine).await?;
    let question_count = questions.len();
    for (number, (name, question)) in (1..).zip(questions) {
        killer.await_nodes().await?;
        let undisturbed = json::lines(&question.ask(engine).await?);
        let before = killer.killed;
        let (mut asked, mut equal) = (0, 0);
        let is_last = number == question_count;
        while asked < rounds
            || (asked < rounds.saturating_add(ROUNDS_MORE_MAX) && killer.missed(is_last, before))
        {
            if asked >= rounds {
                killer.await_nodes().await?;
            }
            let answer = killer.harass(question.ask(engine)).await?;
            asked += 1;
            equal += u32::from(json::lines(&answer) == undisturbed);
        }
        different += asked - equal;
        let killed = (0..shown).map(|which| killer.killed[which] - before[which]);
        let counts = [asked, equal].into_iter().chain(killed);
        let counts = counts.map(|count| Value::Int(i128::from(count)));
        rows.push([Value::Text(name)].into_iter().chain(counts).collect());
    }
    let columns = ["question", "asked", "equal"].into_iter().chain(KILLED[..shown].iter().copied());
    screen.answer(&Answer { columns: columns.map(str::to_owned).collect(), rows })?;
    anyhow::ensure!(different == 0, "{different} answers differed from the undisturbed ones");
    Ok(())
}

/// What is counted, in this order; nodes only where there are several.
const KILLED: [&str; 3] = ["shards_killed", "tasks_killed", "nodes_killed"];
const SHARDS: usize = 0;
const TASKS: usize = 1;
const NODES: usize = 2;

/// How long processes that were started in place of killed ones may take to join.
const JOIN_LIMIT: Duration = secs(20);

/// Anything that can be asked.
enum Question {
    Apply(Apply),
    Select(Select),
    Past(Select, History),
}

impl Question {
    async fn ask(&self, engine: &Engine) -> anyhow::Result<Answer> {
        match self {
            Self::Apply(question) => engine.apply(question).await,
            Self::Select(question) => engine.select(question).await,
            Self::Past(question, history) => engine.select_with_past(question, history).await,
        }
    }
}

/// One question of each sort, about whatever table there is.
async fn questions(engine: &Engine) -> anyhow::Result<Vec<(String, Question)>> {
    let table = engine.default_table().await?;
    let mut features = engine.registry().features().await?;
    features.retain(|feature| feature.table == table);
    // The demo's own columns first, if they are there.
    let liked = ["dep_delay", "origin", "carrier"];
    features.sort_by_key(|feature| !liked.contains(&feature.name.as_str()));
    let names = |wanted: fn(Kind) -> bool| {
        features.iter().filter(move |f| wanted(f.kind)).map(|f| f.name.clone())
    };
    let Some(number) = names(Kind::is_number).next() else {
        anyhow::bail!("table `{table}` has no numbers to aggregate");
    };
    let by: Vec<String> = names(|kind| kind == Kind::Text).take(2).collect();
    let words = "count,sum,mean,min,max,variance,p90,median,distinct,last".split(',');
    let words: Vec<String> = words.map(str::to_owned).collect();
    let rows = Rows { table: table.clone(), ..Rows::default() };
    let apply = Apply {
        rows: rows.clone(),
        feature: number.clone(),
        definitions: engine.definitions(&words).await?,
        by: by.clone(),
        window: None,
        as_of: None,
    };
    let sliding = Apply {
        definitions: engine.definitions(&words[..3]).await?,
        window: Some(Window { length: DAY, every: 6 * HOUR }),
        ..apply.clone()
    };
    let select = Select {
        rows,
        features: by.iter().cloned().chain([number.clone()]).collect(),
        limit: 1000,
    };
    let history = History {
        table,
        feature: number.clone(),
        by,
        definitions: engine.definitions(&words[..3]).await?,
        within: DAY,
    };
    Ok(vec![
        (format!("ten aggregations of {number}"), Question::Apply(apply)),
        ("sliding windows".to_owned(), Question::Apply(sliding)),
        ("rows".to_owned(), Question::Select(select.clone())),
        ("point-in-time join".to_owned(), Question::Past(select, history)),
    ])
}

/// Members that are there as far as this one knows, itself included.
fn nodes_alive() -> usize {
    let alive = |node: Node| node.nodes().iter().filter(|one| one.status == "alive").count();
    Node::current().map_or(0, alive)
}

/// Throws dice and kills.
struct Killer<'s> {
    shards: &'s [ActorRef<Steward>],
    processes: &'s mut Processes,
    dice: StdRng,
    killed: [u32; 3],
    /// Whether this answer still has to survive the loss of a node: one is enough.
    owes_a_node: bool,
}

impl<'s> Killer<'s> {
    fn new(shards: &'s [ActorRef<Steward>], processes: &'s mut Processes, seed: u64) -> Self {
        Self {
            shards,
            processes,
            dice: StdRng::seed_from_u64(seed),
            killed: [0; 3],
            owes_a_node: true,
        }
    }

    /// Waits until all processes that were started are nodes, and of those that were killed none is taken for one.
    async fn await_nodes(&self) -> anyhow::Result<()> {
        let count = self.processes.count() + 1;
        let Some(node) = Node::current().filter(|_| count > 1) else { return Ok(()) };
        let missing =
            |found| anyhow::anyhow!("after {JOIN_LIMIT:?} there are {found} nodes, not {count}");
        node.wait_for_nodes(count, JOIN_LIMIT).await.map_err(missing)?;
        let mut looks = tokio::time::interval(ms(5));
        let forgets_the_dead = async {
            while !self.are_all_there() {
                looks.tick().await;
            }
        };
        let waited = tokio::time::timeout(JOIN_LIMIT, forgets_the_dead).await;
        waited.map_err(|_late| missing(nodes_alive()))
    }

    /// Whether nothing is missing, nor believed to be there that is not.
    fn are_all_there(&self) -> bool {
        nodes_alive() == self.processes.count() + 1
    }

    /// What this run has not killed yet and must. On many nodes most tasks are out of sight; there,
    /// every answer is owed a node instead.
    fn owed(&self) -> Option<usize> {
        let is_owed = |which: &usize| self.processes.count() == 0 && self.killed[*which] == 0;
        [SHARDS, TASKS].into_iter().find(is_owed)
    }

    /// Whether the answers to this question, that began when so many had been killed, have missed a kill that they or the
    /// run should have had.
    fn missed(&self, is_last: bool, before: [u32; 3]) -> bool {
        if self.processes.count() == 0 {
            return is_last && self.owed().is_some();
        }
        self.killed[NODES] == before[NODES]
    }

    /// Kills a node process if none is missing, and starts another.
    fn kill_a_node(&mut self) -> bool {
        let count = self.processes.count();
        if count == 0 || !self.are_all_there() {
            return false;
        }
        let index = self.dice.random_range(0..count);
        // One that cannot be started is missing from now on, and no more are killed.
        self.processes.kill(index).is_ok_and(|was_there| was_there)
            && self.processes.start_one().is_ok()
    }

    /// Runs `answer` to its end, killing while it runs.
    async fn harass<T>(&mut self, answer: impl Future<Output = T>) -> T {
        self.owes_a_node = true;
        let mut answer = pin!(answer);
        let mut kills = 0;
        loop {
            let strike = async {
                if kills == KILLS_PER_ANSWER {
                    future::pending::<()>().await;
                }
                self.strike().await;
            };
            tokio::select! {
                biased;
                answer = &mut answer => return answer,
                () = strike => kills += 1,
            }
        }
    }

    /// Lets the others run for a while, then kills a node if all are there, else what is owed, else a
    /// shard or, two times in three, a task.
    async fn strike(&mut self) {
        for _ in 0..self.dice.random_range(0..10) {
            tokio::task::yield_now().await;
        }
        if self.owes_a_node && self.kill_a_node() {
            self.owes_a_node = false;
            self.killed[NODES] += 1;
            return;
        }
        let is_shard = match self.owed() {
            Some(which) => which == SHARDS,
            None => self.dice.random_ratio(1, 3),
        };
        if is_shard && let Some(steward) = self.shards.choose(&mut self.dice) {
            // As a crash would: the supervisor starts the steward again. The shard ends with its last reference.
            steward.kill().restart();
            self.killed[SHARDS] += 1;
            return;
        }
        // A task lives for microseconds: lie in wait until there is one.
        while !self.kill_a_task() {
            tokio::task::yield_now().await;
        }
        self.killed[TASKS] += 1;
    }

    /// Kills a task; false if there is none, or if the chosen one came to its own end first.
    fn kill_a_task(&mut self) -> bool {
        let Some(node) = Node::current() else {
            return false;
        };
        let mut tasks = node.actors();
        // One that was killed is listed until its body has ended.
        tasks.retain(|citizen| citizen.kind == Citizen::Task && citizen.state != CANCELLING);
        let victim = tasks.choose(&mut self.dice);
        let Some(task) = victim.and_then(|task| node.system().directory().get(task.id)) else {
            return false;
        };
        let (state, attempt) = (task.state(), task.generation());
        task.kill();
        if task.state() == CANCELLING {
            return state != CANCELLING;
        }
        // It is over. If it did not run and has not run since, that is our doing; else it may be its own.
        ![RUNNING, CANCELLING, DONE].contains(&state) && task.generation() == attempt
    }
}

/// What a citizen of the kind task calls its state.
const RUNNING: &str = "running";
const CANCELLING: &str = "cancelling";
const DONE: &str = "done";

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use tokio::sync::Semaphore;

    use super::{super::tests::on_a_node, *};

    /// Says that it runs, and goes on until nobody holds the other end, whoever kills it.
    #[mobula::task]
    fn hold_out(runs: Arc<Semaphore>, end: Arc<Mutex<mpsc::Receiver<()>>>) {
        runs.add_permits(1);
        end.lock().unwrap().recv().unwrap_err();
    }

    #[test]
    fn a_task_is_killed_once_however_long_its_body_goes_on() {
        on_a_node(async {
            let runs = Arc::new(Semaphore::new(0));
            let (body, end) = mpsc::channel();
            let task = hold_out::remote(Arc::clone(&runs), Arc::new(Mutex::new(end)));
            runs.acquire().await.unwrap().forget();
            let mut processes = Processes::default();
            let mut killer = Killer::new(&[], &mut processes, 1);
            assert!(killer.kill_a_task());
            assert!(!killer.kill_a_task(), "its body goes on, but it is dead");
            drop(body);
            assert!(task.get().await.unwrap_err().task().is_some_and(TaskError::is_cancelled));
        });
    }
}
