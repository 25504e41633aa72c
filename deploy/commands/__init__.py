"""One module per `tollgate` subcommand; each offers `command`. `deploy.cli` lists them."""
