//! A connection to the server that a test cuts: [`Proxy`].

use std::path::PathBuf;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, UnixStream},
    sync::watch,
    task::JoinHandle,
};

/// Forwards connections to a server, unless it is cut: then it closes them, and accepts none.
pub(super) struct Proxy {
    port: u16,
    cut: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn start(server: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = watch::Sender::new(false);
        let task = tokio::spawn(forward(listener, server, cut.clone()));
        Self { port, cut, task }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) fn cut(&self, is_cut: bool) {
        self.cut.send_replace(is_cut);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(listener: TcpListener, server: PathBuf, cut: watch::Sender<bool>) {
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let (mut cut, server) = (cut.subscribe(), server.clone());
        if *cut.borrow() {
            continue;
        }
        tokio::spawn(async move {
            let Ok(mut server) = UnixStream::connect(server).await else { return };
            tokio::select! {
                _ended = copy_bidirectional(&mut client, &mut server) => {}
                _cut = cut.wait_for(|is_cut| *is_cut) => {}
            }
        });
    }
}
