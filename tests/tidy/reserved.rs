//! Names that a reference has of its own are refused to users' methods.
//!
//! `ActorRef<A>` derefs to the generated calls, so an inherent method added to it later would silently take the
//! place of every user's method of that name.
//! The macro refuses such names from a list of its own, in another crate, which cannot see the methods.
//! Invariant: the list names every public method of `ActorRef`.

use crate::tree::{Finding, Tree};

const REFERENCE: &str = "actor-core/src/actor_ref.rs";
const LIST: &str = "actor-core/macros/src/actor/reserved.rs";
const BLOCK: &str = "impl<A: Actor> ActorRef<A> {";

pub(crate) fn unreserved_names(tree: &Tree) -> Vec<Finding> {
    let (Some(reference), Some(list)) = (tree.file(REFERENCE), tree.file(LIST)) else {
        return Vec::new();
    };
    let block = reference.product_code().skip_while(|(_, code)| !code.starts_with(BLOCK));
    let body: Vec<(usize, &str)> = block.take_while(|(_, code)| *code != "}").collect();
    if body.is_empty() {
        return vec![Finding::new(REFERENCE, 0, format!("has no `{BLOCK}`: mend this rule"))];
    }
    let methods = body.into_iter().filter_map(|(line, code)| Some((line, public_method(code)?)));
    let missing = methods.filter(|(_, name)| !list.text.contains(&format!("\"{name}\"")));
    missing
        .map(|(line, name)| Finding::new(REFERENCE, line, format!("`{name}` is not in {LIST}")))
        .collect()
}

fn public_method(code: &str) -> Option<&str> {
    let (_, rest) = code.trim_start().strip_prefix("pub ")?.split_once("fn ")?;
    rest.split(['(', '<']).next()
}

#[test]
fn a_method_that_the_macro_does_not_refuse_is_found() {
    let reference = "impl<A: Actor> ActorRef<A> {\n    pub fn id(&self) {}\n    pub async fn closed<T>(&self) {}\n}\n\
                     impl<A: Actor> WeakRef<A> {\n    pub fn upgrade(&self) {}\n}\n";
    let tree = Tree::sample(&[(REFERENCE, reference), (LIST, "(\"id\", \"…\")")]);
    assert_eq!(unreserved_names(&tree).len(), 1);
    let tree = Tree::sample(&[(REFERENCE, "struct A;"), (LIST, "")]);
    assert_eq!(unreserved_names(&tree).len(), 1, "a rule that finds nothing to judge says so");
}
