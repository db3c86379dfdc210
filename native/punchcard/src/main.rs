//! The command `firesteel-punchcard`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use firesteel_punchcard::clock::{self, DAY};
use firesteel_punchcard::config::Config;
use firesteel_punchcard::files::Layout;
use firesteel_punchcard::launch::ITSELF;
use firesteel_punchcard::store::{LONGEST_DAYS, Role, Store, StoreError, UserChange};
use firesteel_punchcard::{check, secrets, server, supervisor};
use tracing_subscriber::EnvFilter;

/// The job server of Firesteel.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server until SIGTERM. Its jobs keep running, and the next server takes them over.
    Serve(Configured),
    /// Check the configuration and what the jobs of all clusters need, without starting a server.
    Check(Configured),
    /// Make, list and revoke tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Add, change, list and remove users.
    #[command(subcommand)]
    User(UserCommand),
    /// Import users from the secrets file of dist-keras.
    #[command(subcommand)]
    Secrets(SecretsCommand),
    /// Supervise an attempt; the server starts this.
    #[command(hide = true)]
    Supervise { folder: PathBuf },
    /// Become the process of an attempt; its supervisor starts this.
    #[command(hide = true)]
    Become { folder: PathBuf, supervisor: u32 },
}

#[derive(Args)]
struct Configured {
    /// The configuration file. Relative paths in it start at its folder.
    #[arg(long, default_value = "punchcard.toml")]
    config: PathBuf,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Make a token and print it. It cannot be shown again. A user who does not exist is added, without the right to run
    /// programs.
    New {
        /// The user.
        #[arg(long)]
        identity: String,
        /// A note that lists of tokens show.
        #[arg(long, default_value = "")]
        label: String,
        /// The number of days after which the token expires. Without it, the token does not expire.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(LONGEST_DAYS)))]
        expires_days: Option<u32>,
        #[command(flatten)]
        configured: Configured,
    },
    /// List tokens.
    List {
        /// The user. Without it, the tokens of all users are listed.
        #[arg(long)]
        identity: Option<String>,
        #[command(flatten)]
        configured: Configured,
    },
    /// Revoke a token, and those that were made with it.
    Revoke {
        /// The user.
        #[arg(long)]
        identity: String,
        /// The token's id, as listed.
        id: String,
        #[command(flatten)]
        configured: Configured,
    },
}

#[derive(Subcommand)]
enum UserCommand {
    /// Add a user.
    Add {
        /// The name.
        name: String,
        /// Let the user manage all jobs, users and tokens.
        #[arg(long)]
        admin: bool,
        /// Let the user run uploaded programs, which have the rights of the server.
        #[arg(long)]
        programs: bool,
        #[command(flatten)]
        configured: Configured,
    },
    /// Change a user.
    Set {
        /// The name.
        name: String,
        /// `user` or `admin`.
        #[arg(long)]
        role: Option<String>,
        /// `true` lets the user run uploaded programs, which have the rights of the server.
        #[arg(long)]
        programs: Option<bool>,
        /// The number of concurrent jobs.
        #[arg(long)]
        running: Option<u32>,
        /// The number of waiting jobs.
        #[arg(long)]
        queued: Option<u32>,
        #[command(flatten)]
        configured: Configured,
    },
    /// List users.
    List(Configured),
    /// Remove a user who has neither jobs nor uploads, and the user's tokens.
    Remove {
        /// The name.
        name: String,
        #[command(flatten)]
        configured: Configured,
    },
}

#[derive(Subcommand)]
enum SecretsCommand {
    /// Import users and secrets from a file such as `[{"secret": "...", "identity": "user1"}]`.
    Import {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        configured: Configured,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(text) => {
            // Nobody reads the output of a closed pipe.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "firesteel-punchcard: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<String, Box<dyn std::error::Error>> {
    match command {
        Command::Serve(configured) => {
            let filter = EnvFilter::try_from_env("FIRESTEEL_PUNCHCARD_LOG")
                .unwrap_or_else(|_| EnvFilter::new("info"));
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
            let config = Config::read(&configured.config)?;
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .max_blocking_threads(server::BLOCKING_THREADS)
                .build()?;
            runtime.block_on(server::run(config, ITSELF.into()))?;
            Ok(String::new())
        }
        Command::Check(configured) => {
            let file = configured.config.display();
            let text = check::check(&Config::read(&configured.config)?)
                .map_err(|problems| format!("{file} has errors:\n{problems}"))?;
            Ok(format!("{file} is valid\n{text}"))
        }
        Command::Supervise { folder } => {
            Ok(supervisor::supervise(&folder).map(|()| String::new())?)
        }
        Command::Become { folder, supervisor } => {
            Ok(supervisor::become_process(&folder, supervisor).map(|()| String::new())?)
        }
        Command::Token(command) => token(command),
        Command::User(command) => user(command),
        Command::Secrets(SecretsCommand::Import { file, configured }) => {
            let count = secrets::import(&store(&configured.config)?, &file)?;
            Ok(format!("{count} secrets imported\n"))
        }
    }
}

/// Opens the store of a server, which may run at the same time.
fn store(config: &Path) -> Result<Store, Box<dyn std::error::Error>> {
    let config = Config::read(config)?;
    Ok(Store::open(&Layout::create(&config.data)?.database())?)
}

fn token(command: TokenCommand) -> Result<String, Box<dyn std::error::Error>> {
    match command {
        TokenCommand::New { identity, label, expires_days, configured } => {
            let store = store(&configured.config)?;
            if store.user(&identity)?.is_none() {
                store.add_user(&identity, Role::User, false)?;
            }
            let expires = expires_days.map(|days| clock::now() + i64::from(days) * DAY);
            Ok(store.new_token(&identity, &label, expires)?.token + "\n")
        }
        TokenCommand::List { identity, configured } => {
            let mut text = String::new();
            for token in store(&configured.config)?.tokens(identity.as_deref())? {
                let until = match (token.revoked_at, token.expires_at) {
                    (Some(time), _) => format!("revoked {}", clock::format(time)),
                    (None, Some(time)) => format!("expires {}", clock::format(time)),
                    (None, None) => "no expiry".to_owned(),
                };
                writeln!(text, "{}  {}  {until}  {}", token.id, token.user, token.label)?;
            }
            Ok(text)
        }
        TokenCommand::Revoke { identity, id, configured } => {
            if store(&configured.config)?.revoke_token(&identity, &id)? {
                return Ok(String::new());
            }
            Err(format!("the user '{identity}' has no token '{id}'; list them with 'token list'")
                .into())
        }
    }
}

fn no_user(name: &str) -> String {
    format!("there is no user '{name}'; list them with 'user list'")
}

fn user(command: UserCommand) -> Result<String, Box<dyn std::error::Error>> {
    match command {
        UserCommand::Add { name, admin, programs, configured } => {
            let role = if admin { Role::Admin } else { Role::User };
            store(&configured.config)?.add_user(&name, role, programs)?;
            Ok(String::new())
        }
        UserCommand::Set { name, role, programs, running, queued, configured } => {
            let role = role
                .map(|role| {
                    Role::of(&role)
                        .ok_or_else(|| format!("--role: must be user or admin, not '{role}'"))
                })
                .transpose()?;
            let change = UserChange {
                role,
                programs,
                running: running.map(Some),
                queued: queued.map(Some),
                ..UserChange::default()
            };
            if store(&configured.config)?.change_user(&name, &change)? {
                return Ok(String::new());
            }
            Err(no_user(&name).into())
        }
        UserCommand::Remove { name, configured } => {
            if store(&configured.config)?.remove_user(&name)? {
                return Ok(String::new());
            }
            Err(no_user(&name).into())
        }
        UserCommand::List(configured) => {
            let mut text = String::new();
            for user in store(&configured.config)?.users()? {
                let programs = if user.programs { "  programs" } else { "" };
                writeln!(text, "{}  {}{programs}", user.name, user.role.name())
                    .map_err(|error| StoreError::System(io::Error::other(error)))?;
            }
            Ok(text)
        }
    }
}
