#!/usr/bin/env bats
# The completion scripts, sourced by the real shells. What is expected comes from the program's own
# help, so that a new command or option is covered the day it lands.

bats_require_minimum_version 1.5.0

setup() {
    root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    bin=${DISPATCHER_BIN:-$root/build/dev/bin/dispatcher}
    cd "$BATS_TEST_TMPDIR"
    mkdir -p appspecs
    : >appspecs/payments.yaml
    : >appspecs/web-shop.yaml
    "$bin" help --list >names
}

first_words() { cut -d' ' -f1 names | sort -u; }

# options_of NAME: as its help page lists them.
options_of() {
    # shellcheck disable=SC2086
    "$bin" help $1 | sed -n '/^Options$/,/^$/s/^  \(--[a-z-]*\).*/\1/p' | sort -u
}

# bash_complete WORD...: what bash offers for the last word, one a line, sorted.
bash_complete() {
    "$bin" completion bash >script.bash
    bash --norc -c '
        source ./script.bash
        COMP_WORDS=(dispatcher "$@")
        COMP_CWORD=$#
        complete -p dispatcher >/dev/null || exit 9
        _dispatcher
        [ ${#COMPREPLY[@]} -eq 0 ] || printf "%s\n" "${COMPREPLY[@]}"
    ' bash "$@" | sort -u
}

fish_complete() {
    "$bin" completion fish >script.fish
    fish --no-config -c 'source ./script.fish; complete -C "dispatcher $argv"' -- "$*" |
        cut -f1 | sort -u
}

# zsh offers matches only to a line editor: a pseudo-terminal types TAB and prints the list.
zsh_complete() {
    mkdir -p functions
    "$bin" completion zsh >functions/_dispatcher
    zsh -f ./zsh_driver "$*" | sort -u
}

write_zsh_driver() {
    cat >zsh_driver <<'DRIVER'
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PROMPT= RPROMPT= PS2=; stty -echo; fpath=($PWD/functions \$fpath); autoload -U compinit; compinit -u -D"
# compadd is wrapped: -O collects what would be offered instead of drawing it.
zpty -w z 'compadd() { local -a all; builtin compadd -O all "$@"; print -rl -- "<OFFER>"${^all}; builtin compadd "$@"; }'
zpty -w z 'zstyle ":completion:*" verbose no; dispatcher() { : }; print READY-$((40 + 2))'
zpty -r z out '*READY-42*'
zpty -w -n z "dispatcher $1"$'\t'
zpty -w -n z $'\C-u'"print DONE-\$((40 + 2))"$'\n'
zpty -r z out '*DONE-42*'
print -r -- ${out//$'\r'/} | grep -o '<OFFER>[^ ]*' | sed 's/<OFFER>//'
DRIVER
}

# zsh_offers WORDS EXPECTED: what the line editor offers there. On a busy machine the driver's keys can
# arrive while zsh still draws its prompt, so a miss is looked at again.
zsh_offers() {
    local try seen
    for try in 1 2 3 4 5 6; do
        seen=$(zsh_complete "$1")
        [ "$seen" != "$2" ] || return 0
        sleep "0.$try"
    done
    printf 'after "%s":\n%s\nexpected:\n%s\n' "$1" "$seen" "$2"
    return 1
}

@test "bash: the script is clean and defines one completion" {
    "$bin" completion bash >script.bash
    bash -n script.bash
    ! command -v shellcheck >/dev/null || shellcheck -s bash -e SC2034 script.bash
    bash --norc -c 'source ./script.bash; complete -p dispatcher' >out
    [ "$(cat out)" = "complete -F _dispatcher dispatcher" ]
}

@test "bash: the first word is a command" {
    [ "$(bash_complete '')" = "$(first_words)" ]
    [ "$(bash_complete versi)" = "version" ]
    [ "$(bash_complete xyz)" = "" ]
}

@test "bash: every command offers exactly the options of its help page" {
    while read -r name; do
        # shellcheck disable=SC2086
        [ "$(bash_complete $name --)" = "$(options_of "$name")" ] || { echo "$name"; return 1; }
    done <names
}

@test "bash: words, commands and nothing" {
    [ "$(bash_complete completion '')" = $'bash\nfish\nzsh' ]
    [ "$(bash_complete completion z)" = "zsh" ]
    [ "$(bash_complete completion --no-color b)" = "bash" ]
    [ "$(bash_complete completion bash '')" = "" ]
    [ "$(bash_complete help '')" = "$(first_words)" ]
    [ "$(bash_complete completion -- '')" = $'bash\nfish\nzsh' ]
    [ "$(bash_complete version --no)" = "--no-color" ]
}

@test "bash: commands of two words" {
    [ "$(bash_complete spec '')" = "$(sed -n 's/^spec //p' names | sort)" ]
    [ "$(bash_complete spec li)" = "lint" ]
    [ "$(bash_complete help spec '')" = "" ]
}

@test "bash: values of options, also behind an equals sign" {
    formats=$(bash_complete spec lint --format '')
    [[ " $(tr '\n' ' ' <<<"$formats")" == *" json "* ]]
    [ "$(bash_complete spec lint --format js)" = "json" ]
    # Readline makes three words of --format=js.
    [ "$(bash_complete spec lint --format = js)" = "json" ]
    [ "$(bash_complete spec lint --format =)" = "$formats" ]
    [ "$(bash_complete deploy payments --env '')" = "" ]
    [ "$(bash_complete deploy --env production '')" = $'payments\nweb-shop' ]
}

@test "bash: apps come from appspecs, files from the directory" {
    [ "$(bash_complete deploy '')" = $'payments\nweb-shop' ]
    [ "$(bash_complete deploy web)" = "web-shop" ]
    [ "$(bash_complete deploy payments '')" = "" ]
    [ "$(bash_complete spec lint appspecs/p)" = "appspecs/payments.yaml" ]
    [ "$(bash_complete spec lint a.yaml appspecs/w)" = "appspecs/web-shop.yaml" ]
    # A value with colons is one word for us, five for readline.
    [ "$(bash_complete deploy --image oci : dir : tag '')" = $'payments\nweb-shop' ]
    rm -r appspecs
    [ "$(bash_complete deploy '')" = "" ]
}

@test "zsh: the script compiles, autoloaded and sourced" {
    "$bin" completion zsh >script.zsh
    zsh -n script.zsh
    run zsh -f -c 'autoload -U compinit; compinit -u -D; source ./script.zsh; print $_comps[dispatcher]'
    [ "$output" = "_dispatcher" ]
}

@test "zsh: a real line editor offers commands, options and words" {
    write_zsh_driver
    zsh_offers '' "$(first_words)"
    zsh_offers 'completion ' $'bash\nfish\nzsh'
    zsh_offers 'version --' "$(options_of version)"
    zsh_offers 'spec ' "$(sed -n 's/^spec //p' names | sort)"
    zsh_offers 'spec lint --format ' "$(bash_complete spec lint --format '')"
    zsh_offers 'deploy ' $'payments\nweb-shop'
}

@test "fish: the script parses, and offers what the tables say" {
    "$bin" completion fish >script.fish
    fish --no-config -n script.fish
    [ "$(fish_complete '')" = "$(first_words)" ]
    [ "$(fish_complete 'completion ')" = $'bash\nfish\nzsh' ]
    [ "$(fish_complete 'help versi')" = "version" ]
    [ "$(fish_complete 'spec ')" = "$(sed -n 's/^spec //p' names | sort)" ]
    [ "$(fish_complete 'spec lint --format js')" = "json" ]
    [ "$(fish_complete 'deploy ')" = $'payments\nweb-shop' ]
    [ "$(fish_complete 'deploy --env production w')" = "web-shop" ]
    while read -r name; do
        [ "$(fish_complete "$name --")" = "$(options_of "$name")" ] || { echo "$name"; return 1; }
    done <names
}
