#!/bin/sh
# Create .env: the settings of docker-compose.yml, with fresh secrets. An existing file never changes.
set -eu
target=${1:-.env}
if [ -e "$target" ]; then
    echo "$target exists already and is left unchanged"
    exit 0
fi
umask 077
made=$(mktemp "$target.XXXXXX")
trap 'rm -f "$made"' EXIT
word() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '='; }
key() { head -c "$1" /dev/urandom | base64 | tr -d '\n'; }
fernet() { key 32 | tr '+/' '-_'; }
azurite=$(key 64)
cat >"$made" <<END
# The settings of docker-compose.yml, created by \`make compose-env\`. Keep this file: the passwords are in the volumes too.
POSTGRES_PASSWORD=$(word)
REDIS_PASSWORD=$(word)
MODELYARD_ADMIN_TOKEN=$(word)
MODELYARD_MASTER_KEY=$(fernet)

# Models, logs and predictions: Azurite in the stack. docs/docker-compose.md says how to use S3 or Azure instead.
AZURITE_ACCOUNT_KEY=$azurite
MODELYARD_STORAGE_URL=az://modelyard/modelyard
AZURE_STORAGE_CONNECTION_STRING=DefaultEndpointsProtocol=http;AccountName=modelyard;AccountKey=$azurite;BlobEndpoint=http://azurite:10000/modelyard

# Further Pythons for models, fetched when the image is built, such as: 3.9 3.10 3.11
PYTHON_VERSIONS=
END
# Of two concurrent runs, one creates the file and the other finds the file.
ln "$made" "$target" 2>/dev/null || { echo "$target exists already and is left unchanged"; exit 0; }
echo "$target created, with fresh secrets (readable only by you)"
