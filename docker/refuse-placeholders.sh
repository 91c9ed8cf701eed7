#!/bin/sh
# refuse-placeholders.sh NAME...: end with 1 unless each of these variables holds a value that somebody chose for it.
set -u
refused=0
for name in "$@"; do
    eval "value=\${$name:-}"
    lower=$(printf %s "$value" | tr '[:upper:]' '[:lower:]')
    case "$lower" in
        '' | *change*me* | *placeholder* | *'<'*'>'* | *your*password* | *your*key* | *xxx* | \
            password | secret | admin | test | modelyard | postgres | redis)
            echo "$name in .env is empty or a placeholder: put a secret of your own there (make compose-env makes a whole .env)" >&2
            refused=1
            ;;
    esac
done
exit $refused
