#!/bin/sh
# refuse-placeholders.sh NAME...: exit with 1 unless each of these variables has a value that is not a placeholder.
set -u
refused=0
for name in "$@"; do
    eval "value=\${$name:-}"
    lower=$(printf %s "$value" | tr '[:upper:]' '[:lower:]')
    case "$lower" in
        '' | *change*me* | *placeholder* | *'<'*'>'* | *your*password* | *your*key* | *xxx* | \
            password | secret | admin | test | modelyard | postgres | redis)
            echo "$name in .env is empty or a placeholder: set a secret of your own (make compose-env creates a whole .env)" >&2
            refused=1
            ;;
    esac
done
exit $refused
