//! What `#[mobula::task]` writes, used as users use it.

use mobula::prelude::*;

#[derive(Debug, thiserror::Error)]
#[error("division by zero")]
struct DivisionByZero;

#[mobula::task]
fn double(x: u64) -> u64 {
    x * 2
}

#[mobula::task(num_cpus = 1, max_retries = 2)]
fn divide(x: u64, y: u64) -> Result<u64, DivisionByZero> {
    x.checked_div(y).ok_or(DivisionByZero)
}

#[mobula::task(num_returns = 2, name = "split", version = 3)]
async fn halves(text: String) -> anyhow::Result<(String, String)> {
    tokio::task::yield_now().await;
    let (left, right) = text.split_at(text.len() / 2);
    Ok((left.to_owned(), right.to_owned()))
}

#[mobula::task]
fn nothing() {}

#[mobula::task]
fn node_of_the_task() -> Option<mobula::NodeId> {
    let Some(task) = mobula::task::current() else {
        panic!("the body of a task runs in one");
    };
    task.node()
}

mod elsewhere {
    // The names of the generated items, as types of the user's.
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    pub(crate) struct Options(pub(crate) u64);
    pub(crate) type Function = u64;

    #[mobula::task]
    pub(crate) fn add(options: Options, function: Function) -> u64 {
        options.0 + function
    }
}

#[mobula::test]
async fn a_task_is_the_function_in_the_background() {
    assert_eq!(double(2), 4);
    assert_eq!(*double::remote(2).get().await.unwrap(), 4);
    nothing::remote().get().await.unwrap();
    assert_eq!(*elsewhere::add::remote(elsewhere::Options(1), 2).get().await.unwrap(), 3);
}

#[mobula::test]
async fn a_task_names_its_node_as_the_node_does_itself(node: Node) {
    assert!(mobula::task::current().is_none(), "a driver is no task");
    assert_eq!(*node_of_the_task::remote().get().await.unwrap(), node.id());
    assert_eq!(node.id(), None, "alone it has no name; cluster_tasks.rs has the other case");
}

#[mobula::test]
async fn references_are_arguments() {
    let x = double::remote(1);
    assert_eq!(*double::remote(&x).get().await.unwrap(), 4);
    let many: Vec<ObjectRef<u64>> = (0..10).map(double::remote).collect();
    assert_eq!(many.len(), 10);
}

#[mobula::test]
async fn an_error_is_the_functions_own() {
    assert_eq!(*divide::remote(4, 2).get().await.unwrap(), 2);
    let text = divide::remote(1, 0).get().await.unwrap_err().to_string();
    assert!(text.contains("division by zero"), "{text}");
}

#[mobula::test]
async fn several_returns_are_several_references() {
    let (left, right) = halves::options().max_retries(1).remote("abcd".to_owned());
    assert_eq!(
        (left.get().await.unwrap().as_str(), right.get().await.unwrap().as_str()),
        ("ab", "cd")
    );
}

#[mobula::test]
async fn a_graph_is_bound_first_and_run_later() {
    let graph = double::bind(double::bind(3));
    assert_eq!(*graph.submit().get().await.unwrap(), 12);
}

#[mobula::test]
async fn a_task_may_be_declared_in_a_function() {
    #[derive(Serialize, Deserialize)]
    struct Token(u64);

    #[mobula::task]
    fn merge(x: Token, y: Arc<Token>) -> Token {
        Token(x.0 + y.0)
    }

    let first = merge::remote(Token(1), Arc::new(Token(2)));
    assert_eq!(merge::remote(Token(4), &first).get().await.unwrap().0, 7);
}

#[test]
fn functions_are_in_the_table() {
    let named = |name: &str| {
        let functions = mobula::functions();
        functions.into_iter().find(|entry| entry.name == name).unwrap()
    };
    assert_eq!(
        named("task_macro::divide").signature,
        "fn(u64, u64) -> Result<u64, DivisionByZero>"
    );
    assert_eq!(named("split").version, 3);
}
