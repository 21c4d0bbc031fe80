#!/bin/sh
# Install Polyscribe on this server with Docker, upgrade it, or remove it. Run it in an unpacked release or a clone:
#
#   ./install.sh [--host NAME] [--files-host NAME] [--mail URL] [--model NAME] [--hub-token TOKEN] [--admin EMAIL]
#   ./install.sh upgrade
#   ./install.sh uninstall [--delete-data]
#
#   --host NAME         the site's host name, such as polyscribe.example.com
#   --files-host NAME   storage's host name (default: files. before the site's)
#   --mail URL          the mail server, smtp://user:password@mail.example.com:587 (it must speak STARTTLS)
#   --model NAME        the base model, by its name on Hugging Face's hub
#   --hub-token TOKEN   for a model whose licence must be accepted there first
#   --admin EMAIL       the first operator's address
#   --yes               ask nothing: what is neither given nor in .env must have a default
#   --no-proxy          leave out Caddy: a proxy of your own terminates TLS; .env's COMPOSE_PROFILES keeps the choice
#   --force             go on although this machine lacks memory, disk, a GPU or a free port
#   --delete-data       uninstall: also delete every volume (styles, accounts, usage, the model)
#
# The list of processes and the shell's history show what is in an option. Set INSTALL_MAIL and INSTALL_HUB_TOKEN instead,
# or let it ask: for the mail server if you leave out --mail, for the token if you leave out --model.
# It asks only for what is missing, and repeating it is harmless. COMPOSE='docker compose -p NAME' changes the command.
set -eu

compose=${COMPOSE:-docker compose}
wait_s=${INSTALL_WAIT_S:-600}
memory_needed_gb=15 # a server with 16 GB shows a little less
disk_needed_gb=50   # vLLM's image, the model, and room for styles
log=var/log/install.log
example_host=polyscribe.example.com
profiles='--profile proxy --profile observability --profile training'

say() { printf '%s\n' "$*"; }
fail() {
    printf '✗ %s\n' "$*" >&2
    exit 1
}
step() { printf '  … %s\n' "$*"; }
is_done() { printf '  ✓ %s\n' "$*"; }

usage() { sed -n '2,/^set -eu/{/^#/s/^# \{0,1\}//p;}' "$0"; }

action=install
host='' files_host='' mail=${INSTALL_MAIL:-} model='' hub_token=${INSTALL_HUB_TOKEN:-} admin=''
yes='' proxy=proxy force='' delete_data=''
while [ $# -gt 0 ]; do
    case $1 in
    --host | --files-host | --mail | --model | --hub-token | --admin)
        [ $# -ge 2 ] || fail "$1 needs a value. See: $0 --help"
        case $1 in
        --host) host=$2 ;;
        --files-host) files_host=$2 ;;
        --mail) mail=$2 ;;
        --model) model=$2 ;;
        --hub-token) hub_token=$2 ;;
        --admin) admin=$2 ;;
        esac
        shift
        ;;
    --yes | -y) yes=1 ;;
    --no-proxy) proxy= ;;
    --force) force=1 ;;
    --delete-data) delete_data=1 ;;
    --help | -h)
        usage
        exit
        ;;
    install | upgrade | uninstall) action=$1 ;;
    *) fail "$1 is not known. See: $0 --help" ;;
    esac
    shift
done

cd "$(dirname "$0")"
[ -f docker-compose.yml ] || fail "docker-compose.yml is not beside install.sh. Unpack a release, and run install.sh in it."

# What .env says; empty where it says nothing.
value_of() {
    [ ! -f .env ] || sed -n "s/^$1=//p" .env | tail -n 1
}

# Set a variable of .env, in its place or at the end. Only its owner can read the file, at any moment.
set_value() {
    NAME=$1 VALUE=$2 awk '
        index($0, ENVIRON["NAME"] "=") == 1 { if (!found) print ENVIRON["NAME"] "=" ENVIRON["VALUE"]; found = 1; next }
        { print }
        END { if (!found) print ENVIRON["NAME"] "=" ENVIRON["VALUE"] }
    ' .env >.env.new
    mv .env.new .env
}

# ask NAME OPTION QUESTION DEFAULT: set a variable of this script that is still empty.
ask() {
    eval "answer=\$$1"
    if [ -z "$answer" ] && [ -n "$yes" ]; then
        answer=$4
    elif [ -z "$answer" ]; then
        printf '%s%s: ' "$3" "${4:+ [$4]}"
        IFS= read -r answer || { [ -n "$answer" ] || say; }
        answer=${answer:-$4}
    fi
    [ -n "$answer" ] || [ "$2" = optional ] || fail "$3: no answer. Pass $2, or run this in a terminal."
    eval "$1=\$answer"
}

confirm() {
    [ -z "$yes" ] || return 0
    printf '%s [y/N]: ' "$1"
    IFS= read -r answer || answer=
    case $answer in y | Y | yes) ;; *) fail "Nothing was changed." ;; esac
}

check_docker() {
    command -v docker >/dev/null ||
        fail "Docker is not installed. Install it (https://docs.docker.com/engine/install/), then run this again."
    $compose version >/dev/null 2>&1 ||
        fail "Docker has no compose plugin. Install it (Docker's package docker-compose-plugin), then run this again."
    docker info >/dev/null 2>&1 ||
        fail "Docker's daemon doesn't answer. Start it (systemctl start docker), or run this as root or a member of the group docker."
}

# With Caddy or without, as .env says once it has profiles.
read_proxy() {
    grep -qs '^COMPOSE_PROFILES=' .env || return 0
    case $(value_of COMPOSE_PROFILES) in *proxy*) ;; *) proxy= ;; esac
}

lacks=
lack() {
    lacks=1
    printf '✗ %s\n' "$*" >&2
}

check_machine() {
    memory_gb=$(awk '/^MemTotal:/ { print int($2 / 1000000) }' /proc/meminfo)
    [ "$memory_gb" -ge "$memory_needed_gb" ] ||
        lack "This machine has $memory_gb GB of memory; 16 GB are needed. Use a larger machine."
    root=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null) || root=
    [ -d "$root" ] || root=.
    disk_gb=$(df -Pk "$root" | awk 'NR == 2 { print int($4 / 1000000) }')
    [ "$disk_gb" -ge "$disk_needed_gb" ] || [ -f .env ] ||
        lack "$disk_gb GB are free in $root; $disk_needed_gb GB are needed. Free some, or move Docker's data-root."
    if ! nvidia-smi -L >/dev/null 2>&1; then
        lack "No NVIDIA GPU answers to nvidia-smi. Install the driver, or use a machine with a GPU."
    elif ! command -v nvidia-container-runtime-hook >/dev/null &&
        ! docker info --format '{{json .Runtimes}}' 2>/dev/null | grep -q nvidia; then
        lack "Docker has no NVIDIA runtime. Install the NVIDIA Container Toolkit, run \`nvidia-ctk runtime configure --runtime=docker\`, and restart Docker."
    fi
    if [ -n "$proxy" ] && [ ! -f .env ] && command -v ss >/dev/null; then
        for port in 80 443; do
            [ -z "$(ss -Hltn "sport = :$port" 2>/dev/null)" ] ||
                lack "Port $port is taken, and Caddy needs it. Stop what listens there, or pass --no-proxy and use your own proxy."
        done
    fi
    [ -z "$lacks" ] || [ -n "$force" ] || fail "Nothing was changed. To go on anyway, pass --force."
}

check_name() {
    case $2 in
    *[!a-zA-Z0-9.-]* | .* | -* | *. | *-) fail "$1 \"$2\" is not a host name, such as $example_host." ;;
    *.*) ;;
    *) [ "$2" = localhost ] || fail "$1 \"$2\" is not a host name, such as $example_host." ;;
    esac
}

ask_all() {
    is_new=
    [ -f .env ] || is_new=1
    known_host=$(value_of SITE_HOST)
    [ "$known_host" != "$example_host" ] || known_host=
    host=${host:-$known_host}
    ask host --host "The site's host name, such as $example_host" ""
    check_name "The host" "$host"
    if [ "$host" = "$known_host" ]; then
        files_host=${files_host:-$(value_of FILES_HOST)}
    else
        files_host=${files_host:-files.$host}
    fi
    check_name "The storage's host" "$files_host"
    mail=${mail:-$(value_of EMAIL_URL)}
    ask mail --mail "The mail server, such as smtp://user:password@mail.example.com:587" ""
    case $mail in
    smtp://?*) ;;
    *) fail "\"$mail\" is not the address of a mail server, such as smtp://user:password@mail.example.com:587." ;;
    esac
    case $mail in
    *[[:space:]\'\"]*) fail "Write blanks and quotes of the mail server's address as %20, %27 and %22." ;;
    esac
    # compose would take these for a variable and a comment
    mail=$(printf '%s' "$mail" | sed 's/\$/%24/g; s/#/%23/g')
    if [ -n "$is_new" ]; then
        default_model=$(sed -n 's/^BASE_MODEL=//p' .env.example)
        asked_model=$model
        ask model --model "The base model, by its name on Hugging Face's hub" "$default_model"
        [ -n "$asked_model" ] || ask hub_token optional "The hub's token (empty if the model needs none)" ""
        ask admin --admin "The first operator's email address" ""
    fi
    case $model in
    *[!a-zA-Z0-9._/-]*) fail "\"$model\" is not a model's name, such as meta-llama/Llama-3.1-8B-Instruct." ;;
    esac
}

# Secrets come from dev/stack/env_file.py, with this machine's Python or, if it has none, with the site's base image.
write_secrets() {
    mkdir -p var/log
    if python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' >/dev/null 2>&1; then
        python3 -I dev/stack/env_file.py
    else
        image=$(sed -n 's/^ARG PYTHON_IMAGE=//p' Dockerfile)
        docker run --rm --network none --user "$(id -u):$(id -g)" --volume "$PWD:/work" "$image" \
            python -I /work/stack/env_file.py
    fi >"$log" 2>&1 || fail "The secrets were not written: $(tail -n 1 "$log")"
    grep ': change it\.$' "$log" || true
}

write_settings() {
    set_value SITE_HOST "$host"
    set_value SITE_URL "https://$host"
    set_value FILES_HOST "$files_host"
    set_value S3_PUBLIC_ENDPOINT_URL "https://$files_host"
    set_value EMAIL_URL "$mail"
    [ -z "$model" ] || set_value BASE_MODEL "$model"
    [ -z "$hub_token" ] || set_value HF_TOKEN "$hub_token"
    if [ -z "$proxy" ]; then
        # other profiles stay
        set_value COMPOSE_PROFILES "$(value_of COMPOSE_PROFILES | sed 's/,proxy//; s/proxy,\{0,1\}//')"
    else
        grep -q '^COMPOSE_PROFILES=' .env || set_value COMPOSE_PROFILES "$proxy"
    fi
}

# logged WHAT COMMAND…: run a command with its output in the log.
logged() {
    what=$1
    shift
    step "$what"
    began_s=$(date +%s)
    "$@" >>"$log" 2>&1 || fail "$what: failed. $(tail -n 1 "$log") All of it: $log"
    is_done "$what ($(($(date +%s) - began_s)) s)"
}

is_ready() {
    $compose exec -T web python3 -c "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=4)" \
        </dev/null >/dev/null 2>&1
}

await_ready() {
    step "waiting until the site serves"
    began_s=$(date +%s)
    until is_ready; do
        waited_s=$(($(date +%s) - began_s))
        if [ "$waited_s" -ge "$wait_s" ]; then
            $compose ps >&2 || true
            $compose logs --tail 20 web migrate >&2 || true
            fail "The site didn't serve within $wait_s s. Its last lines are above; docker compose logs shows the rest."
        fi
        [ ! -t 1 ] || printf '    %s s\r' "$waited_s"
        sleep 2
    done
    is_done "the site serves ($(($(date +%s) - began_s)) s)"
}

has_operator() {
    $compose exec -T web python manage.py shell --verbosity 0 --command \
        "from tenants.models import User; raise SystemExit(not User.objects.filter(is_superuser=True).exists())" \
        </dev/null >>"$log" 2>&1
}

create_operator() {
    if has_operator; then
        is_done "an operator exists"
        return
    fi
    ask admin --admin "The first operator's email address" ""
    password=$(head -c 15 /dev/urandom | base64)
    # by standard input: an argument would show in the list of processes
    # shellcheck disable=SC2016 # the container's shell expands it
    printf '%s' "$password" | $compose exec -T web sh -c \
        'DJANGO_SUPERUSER_PASSWORD=$(cat) exec python manage.py createsuperuser --noinput --email "$0"' "$admin" \
        >>"$log" 2>&1 || fail "The operator was not created. $(tail -n 1 "$log") All of it: $log"
    is_done "the operator $admin was created"
    # at once: what comes next takes long, and may fail
    say "    Log in at https://$host/accounts/login/ as $admin with the password $password"
    say "    It is shown this once. The site mails a link first, and asks for a second factor; then open /console/."
}

print_next() {
    say ""
    say "Polyscribe serves at https://$host"
    say ""
    say "Next:"
    if [ -n "$proxy" ]; then
        say "  - DNS: $host and $files_host must point to this server; Caddy then gets certificates itself."
    else
        say "  - Your proxy must send $host to 127.0.0.1:8000 and 8003, $files_host to 127.0.0.1:8333 (docs/running.md)."
    fi
    say "  - Keep a copy of .env in another place: without its keys, no backup can be restored."
    say "  - docker compose logs -f base-model vllm shows the engine's start; docker compose exec web python manage.py doctor checks all."
    say "  - ./install.sh upgrade takes the next version once you have unpacked it here; ./install.sh uninstall removes it."
    for name in "$host" "$files_host"; do
        [ -z "$proxy" ] || getent hosts "$name" >/dev/null 2>&1 || say "  ! $name has no address yet."
    done
}

install() {
    check_docker
    read_proxy
    check_machine
    ask_all
    write_secrets
    write_settings
    is_done ".env and secrets/ are written; they are readable only by you"
    # shellcheck disable=SC2086 # the command is several words; without a proxy there is no service
    logged "building the site's image" $compose build
    # shellcheck disable=SC2086
    logged "starting the site" $compose up --detach --no-build web web-2 gateway ${proxy:+caddy}
    await_ready
    create_operator
    # shellcheck disable=SC2086
    logged "starting the rest; the model is downloaded first, which can take long" $compose up --detach --no-build
    print_next
}

upgrade() {
    check_docker
    [ -f .env ] || fail "Nothing is installed here: .env is missing. Run ./install.sh first."
    write_secrets
    logged "upgrading, while the site serves" deploy/upgrade.sh
    await_ready
    is_done "version $(sed -n 's/^VERSION = "\(.*\)"/\1/p' core/version.py) serves"
}

uninstall() {
    check_docker
    if [ ! -f .env ]; then
        say "Nothing is installed here: .env is missing."
        return
    fi
    if [ -n "$delete_data" ]; then
        host=$(value_of SITE_HOST)
        if [ -z "$yes" ]; then
            printf 'This deletes all styles, accounts, usage and the model of %s. Type that name to go on: ' "$host"
            IFS= read -r answer || answer=
            [ "$answer" = "$host" ] || fail "Nothing was changed."
        fi
        # shellcheck disable=SC2086 # several options
        $compose $profiles down --remove-orphans --volumes
        say "Containers and data are deleted. .env and secrets/ stay: backups need their keys. Delete them yourself."
        return
    fi
    confirm "This stops Polyscribe and removes its containers. Its data stays. Go on?"
    # shellcheck disable=SC2086 # several options
    $compose $profiles down --remove-orphans
    say "Containers are removed; data, .env and secrets/ stay. ./install.sh brings it back, ./install.sh uninstall --delete-data deletes the data."
}

umask 077
$action
