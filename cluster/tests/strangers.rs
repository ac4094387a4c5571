//! What a stranger's bytes may not do to a node: panic, or mean two things. Admission, certificates, the exchange, bulk.
//!
//! A million cases in a release build: samples of every frame with a few bytes changed, cut or put in. A debug build runs
//! ten thousand unless `WIRE_CASES` says otherwise. A failing run prints its seed, which `WIRE_SEED=n` repeats.

#![expect(clippy::print_stderr, reason = "a failing test prints its seed")]

use mobula_cluster::strangers::{framed, read_all, read_stream, samples};
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

/// Changes, cuts, repeats or leaves the bytes as they are.
fn damage(rng: &mut SmallRng, bytes: &mut Vec<u8>) {
    for _ in 0..rng.random_range(0..4) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..6) {
            0 => bytes[at] = rng.random(),
            1 => bytes[at] ^= 1 << rng.random_range(0..8),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, rng.random()),
            // A marker that claims the most.
            4 => bytes[at] = [0xc6, 0xdb, 0xdd, 0xdf, 0xc9, 0xff][rng.random_range(0..6)],
            // A marker that goes one deeper, many times.
            _ => {
                let deep = vec![0x91; rng.random_range(0..200)];
                bytes.splice(at..at, deep);
            }
        }
    }
}

/// Says which case it was.
struct SaidOnPanic(u64);

impl Drop for SaidOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("WIRE_SEED={}", self.0);
        }
    }
}

#[test]
fn every_sample_is_read_as_what_it_is() {
    for sample in samples() {
        assert!(read_all(&sample) > 0, "{sample:x?}");
    }
}

#[test]
fn frames_are_read_from_streams_and_nothing_waits_for_more_than_there_is() {
    let framed: Vec<_> = samples().iter().flat_map(|sample| framed(sample)).collect();
    let read: usize = framed.iter().map(|bytes| read_stream(bytes)).sum();
    // Each at least as a chunk, but for what is larger than one.
    assert!(read >= samples().len(), "{read}");
    for bytes in &framed {
        for end in 0..bytes.len() {
            let _frames = read_stream(&bytes[..end]);
        }
    }
    // A length that lies, and a frame of another kind.
    assert_eq!(read_stream(&[0xff; 9]), 0);
    assert_eq!(read_stream(&[1, 0, 0, 0, 77]), 0);
}

#[test]
fn strangers_bytes_do_no_harm() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let cases = if cfg!(debug_assertions) { 10_000 } else { 1_000_000 };
    let cases = number("WIRE_CASES").unwrap_or(cases);
    let seeds = number("WIRE_SEED").map_or(0..cases, |seed| seed..seed + 1);
    let samples = samples();
    for seed in seeds {
        let _seed = SaidOnPanic(seed);
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut bytes = if rng.random_range(0..20) == 0 {
            let mut bytes = vec![0; rng.random_range(0..200)];
            rng.fill_bytes(&mut bytes);
            bytes
        } else {
            samples[rng.random_range(0..samples.len())].clone()
        };
        damage(&mut rng, &mut bytes);
        let _kinds = read_all(&bytes);
        let _kinds = read_stream(&bytes);
    }
}
