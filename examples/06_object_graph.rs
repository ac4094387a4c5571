//! Objects: values kept once and shared. A big one is put once and read by many tasks without a copy; a graph can be
//! described first and submitted later; when the last reference goes, so do the bytes.
//!
//! `cargo run --example 06_object_graph`
#![expect(clippy::print_stdout, reason = "an example speaks")]

use mobula::prelude::*;

/// An `Arc<T>` parameter shares the stored value; a `T` parameter would get its own copy.
#[mobula::task(num_cpus = 0.5)]
fn count_words(text: Arc<String>, initial: char) -> usize {
    text.split_whitespace().filter(|word| word.starts_with(initial)).count()
}

#[mobula::task]
fn add(x: usize, y: usize) -> usize {
    println!("  add({x}, {y}) runs");
    x + y
}

#[mobula::main]
async fn main(node: Node) -> anyhow::Result<()> {
    let text = "the manta ray and the mobula ray are rays ".repeat(1000);
    let text: ObjectRef<String> = mobula::put(text).await?;
    println!("put {text:?}, the store holds {} bytes", node.status().store.bytes);

    let counts: Vec<ObjectRef<usize>> =
        "rtm".chars().map(|c| count_words::remote(&text, c)).collect();
    for (initial, count) in "rtm".chars().zip(mobula::get(&counts).await?) {
        println!("words with {initial}: {count}");
    }

    // Described now, run when submitted; `pair` is one call however often it is used.
    let pair = add::bind(&counts[0], &counts[1]);
    let total = add::bind(&pair, &pair);
    println!("nothing has run yet");
    println!("twice the words with r and t: {}", total.submit().get().await?);

    drop((text, counts, pair, total));
    while node.status().store.objects > 0 {
        tokio::task::yield_now().await;
    }
    println!("all references are gone, the store holds {} bytes", node.status().store.bytes);
    Ok(())
}
