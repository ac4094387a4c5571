//! Plain TCP: frames of a verb, a number and the text. The floor of the machine, not encrypted and without actors.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use crate::cluster::caller::{Caller, Tally};
use crate::cluster::ground::serve_at;
use crate::cluster::measure::sum_below;
use crate::cluster::pattern::{MESSAGE_BYTES, TEXT};
use crate::error::BenchError;

/// What a frame wants.
pub(super) const NOTE: u8 = 1;
pub(super) const ADD: u8 = 2;
pub(super) const COUNT: u8 = 3;
const FETCH: u8 = 4;

/// A verb and a message.
pub(super) const FRAME_BYTES: usize = 1 + MESSAGE_BYTES;
const SUM_BYTES: usize = 8;
const TALLY_BYTES: usize = 32;
/// Tells that are written at once.
const BATCH_BYTES: usize = 16 * 1024;
const CHUNK_BYTES: usize = 256 * 1024;

/// A frame as bytes.
pub(super) fn frame(verb: u8, number: u64) -> [u8; FRAME_BYTES] {
    let mut frame = [verb; FRAME_BYTES];
    frame[1..9].copy_from_slice(&number.to_le_bytes());
    frame[9..].copy_from_slice(TEXT.as_bytes());
    frame
}

/// Counts a frame; the answer goes to `answers`. Gives the number of bytes that are wanted, if any are.
pub(super) fn take(tally: &mut Tally, frame: &[u8], answers: &mut Vec<u8>) -> Option<u64> {
    let (verb, number) = (frame[0], frame[1..9].first_chunk().copied().map(u64::from_le_bytes)?);
    let text = std::str::from_utf8(&frame[9..]).unwrap_or("");
    match verb {
        NOTE => tally.take(number, text),
        ADD => {
            tally.take(number, text);
            answers.extend_from_slice(&tally.sum.to_le_bytes());
        }
        COUNT => answers.extend(tally.to_numbers().iter().flat_map(|number| number.to_le_bytes())),
        _ => return Some(number),
    }
    None
}

/// A tally from the bytes that [`take`] wrote.
pub(super) fn read_tally(bytes: &[u8]) -> Tally {
    let mut numbers = [0; 4];
    for (number, bytes) in numbers.iter_mut().zip(bytes.chunks_exact(8)) {
        *number = bytes.first_chunk().copied().map_or(0, u64::from_le_bytes);
    }
    Tally::from_numbers(numbers)
}

/// Counts for one caller.
pub(crate) async fn far() -> Result<(), BenchError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        if let Ok((stream, _)) = listener.accept().await {
            // The caller has gone when its run is over.
            let _ = serve(stream).await;
        }
    });
    serve_at(&address).await
}

async fn serve(mut stream: TcpStream) -> Result<(), BenchError> {
    stream.set_nodelay(true)?;
    let mut tally = Tally::default();
    let (mut buffer, mut filled) = (vec![0; 64 * 1024], 0);
    let mut answers = Vec::new();
    loop {
        let count = stream.read(&mut buffer[filled..]).await?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        let whole = filled / FRAME_BYTES * FRAME_BYTES;
        for frame in buffer[..whole].chunks_exact(FRAME_BYTES) {
            if let Some(mut wanted) = take(&mut tally, frame, &mut answers) {
                let chunk = vec![1; CHUNK_BYTES];
                while wanted > 0 {
                    let part = chunk.len().min(usize::try_from(wanted).unwrap_or(chunk.len()));
                    stream.write_all(&chunk[..part]).await?;
                    wanted -= part as u64;
                }
            }
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
        if !answers.is_empty() {
            stream.write_all(&answers).await?;
            answers.clear();
        }
    }
}

/// One connection.
#[derive(Clone)]
pub(crate) struct Tcp(Arc<Mutex<Connection>>);

struct Connection {
    stream: TcpStream,
    unsent: Vec<u8>,
}

/// Connects to the far side.
pub(crate) async fn call(address: String) -> Result<Tcp, BenchError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(Tcp(Arc::new(Mutex::new(Connection { stream, unsent: Vec::new() }))))
}

impl Connection {
    async fn flush(&mut self) -> Result<(), BenchError> {
        self.stream.write_all(&self.unsent).await?;
        self.unsent.clear();
        Ok(())
    }

    async fn answer<const BYTES: usize>(
        &mut self,
        verb: u8,
        number: u64,
    ) -> Result<[u8; BYTES], BenchError> {
        self.unsent.extend_from_slice(&frame(verb, number));
        self.flush().await?;
        let mut answer = [0; BYTES];
        self.stream.read_exact(&mut answer).await?;
        Ok(answer)
    }
}

impl Caller for Tcp {
    async fn ask(&self, number: u64) -> Result<u64, BenchError> {
        let answer = self.0.lock().await.answer::<SUM_BYTES>(ADD, number).await?;
        Ok(u64::from_le_bytes(answer))
    }

    async fn tell(&self, number: u64) -> Result<(), BenchError> {
        let mut connection = self.0.lock().await;
        connection.unsent.extend_from_slice(&frame(NOTE, number));
        if connection.unsent.len() >= BATCH_BYTES { connection.flush().await } else { Ok(()) }
    }

    async fn tally(&self) -> Result<Tally, BenchError> {
        Ok(read_tally(&self.0.lock().await.answer::<TALLY_BYTES>(COUNT, 0).await?))
    }

    /// One task that writes as many questions as it read answers.
    async fn ask_many(&self, count: u64, window: u64) -> Result<u64, BenchError> {
        let count = count / window * window;
        let mut connection = self.0.lock().await;
        let (mut asked, mut answered, mut part) = (0, 0, 0);
        let mut buffer = vec![0; 64 * 1024];
        while answered < count {
            while asked < count.min(answered + window) {
                connection.unsent.extend_from_slice(&frame(ADD, asked));
                asked += 1;
            }
            connection.flush().await?;
            let read = connection.stream.read(&mut buffer).await?;
            if read == 0 {
                return Err(BenchError::refused("ask")("the far side hung up".to_owned()));
            }
            part += read;
            answered += (part / SUM_BYTES) as u64;
            part %= SUM_BYTES;
        }
        Ok(sum_below(count))
    }

    /// Read and let go, chunk by chunk.
    async fn fetch(&self, bytes: u64) -> Result<Duration, BenchError> {
        let mut connection = self.0.lock().await;
        let begun = Instant::now();
        connection.unsent.extend_from_slice(&frame(FETCH, bytes));
        connection.flush().await?;
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut left = bytes;
        while left > 0 {
            let read = connection.stream.read(&mut buffer).await? as u64;
            if read == 0 {
                return Err(BenchError::WrongSum { expected: bytes, got: bytes - left });
            }
            left -= read;
        }
        Ok(begun.elapsed())
    }
}
