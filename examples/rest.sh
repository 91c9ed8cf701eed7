#!/usr/bin/env bash
# The REST flow of Azure ML's samples (deploy-rest and batch-score-rest) for an MLflow model, with curl and jq.
#
#   MODELYARD_URL    base URL of the platform, or of Resource Manager
#   MODELYARD_TOKEN  the admin token, or an access token with the role contributor
#   CURL_CA_BUNDLE   the certificate authority of an https platform (modelyard client-env prints the path)
#
#   examples/rest.sh <folder of the MLflow model> <request.json> <folder of input files> [folder for the predictions]
#
# The bodies have what the samples' bodies have: PascalCase, numbers as strings, trailing commas, raw line breaks.
set -euo pipefail

model_folder=${1%/} request=$2 input_folder=${3%/} output_folder=${4:-.}
url=${MODELYARD_URL%/} token=${MODELYARD_TOKEN:?}
subscription=${SUBSCRIPTION_ID:-00000000-0000-0000-0000-000000000000}
group=${RESOURCE_GROUP:-local} workspace=${WORKSPACE:-default} location=${LOCATION:-local}
suffix=${SUFFIX:-$RANDOM}
ws="$url/subscriptions/$subscription/resourceGroups/$group/providers/Microsoft.MachineLearningServices/workspaces/$workspace"
api="api-version=2022-05-01"

say() { echo "rest.sh: $*" >&2; }

# call METHOD URL [BODY]: prints the body of the answer; ends the script at a status of 400 and above.
call() {
    local method=$1 where=$2
    shift 2
    curl --silent --show-error --fail-with-body --location --request "$method" "$where" \
        --header "Authorization: Bearer $token" --header "Content-Type: application/json" \
        ${1:+--data-raw "$1"} || { say "$method $where failed"; exit 1; }
}

# await RESOURCE: polls the operation that the body of a resource names.
await() {
    local resource operation status=
    resource=$(call GET "$1?$api")
    operation=$(jq -r '.properties.properties.AzureAsyncOperationUri' <<<"$resource")
    until [ "$status" = Succeeded ]; do
        status=$(call GET "$operation" | jq -r .status)
        case $status in
        Failed | Canceled) call GET "$operation" >&2; say "$1: $status"; exit 1 ;;
        Succeeded) ;;
        *) sleep 1 ;;
        esac
    done
}

# upload FOLDER PREFIX: puts the files of a folder into the default datastore.
upload() {
    local file
    (cd "$1" && find . -type f -printf '%P\n') | while IFS= read -r file; do
        curl --silent --show-error --fail --request PUT --upload-file "$1/$file" \
            --header "x-ms-blob-type: BlockBlob" "$blobs/$2/$(jq -rn --arg name "$file" '$name | split("/") | map(@uri) | join("/")')?$sas"
    done
}

say "the default datastore of $workspace"
store=$(call GET "$ws/datastores?isDefault=true&$api" | jq '.value[0]')
store_name=$(jq -r .name <<<"$store")
account=$(jq -r .properties.accountName <<<"$store")
container=$(jq -r .properties.containerName <<<"$store")
blobs="${url%%:*}://$account.blob.$(jq -r .properties.endpoint <<<"$store")/$container"
sas=$(call POST "$ws/datastores/$store_name/listSecrets?$api" '{}' | jq -r .sasToken)

say "model"
upload "$model_folder" "rest-$suffix/model"
call PUT "$ws/models/rest-$suffix/versions/1?$api" "{
    \"properties\": {
        \"modelType\": \"mlflow_model\",
        \"modelUri\": \"azureml://subscriptions/$subscription/resourceGroups/$group/workspaces/$workspace/datastores/$store_name/paths/rest-$suffix/model\",
    }
}" >/dev/null
model=$(call GET "$ws/models/rest-$suffix/versions/1?$api" | jq -r .id)

environment_line=
if [ -f "$model_folder/conda.yaml" ]; then
    say "environment"
    conda=$(sed 's/\\/\\\\/g; s/"/\\"/g' "$model_folder/conda.yaml")
    call PUT "$ws/environments/rest-$suffix/versions/1?$api" "{
        \"properties\": {
            \"condaFile\": \"$conda\",
            \"image\": \"mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04\",
        }
    }" >/dev/null
    environment=$(call GET "$ws/environments/rest-$suffix/versions/1?$api" | jq -r .id)
    environment_line="\"environmentId\": \"$environment\","
fi

say "online endpoint"
online="$ws/onlineEndpoints/rest-$suffix"
call PUT "$online?$api" "{
    \"identity\": { \"type\": \"systemAssigned\" },
    \"properties\": { \"AuthMode\": \"AMLToken\", },
    \"location\": \"$location\",
}" >/dev/null
await "$online"

say "online deployment: its environment is built now"
call PUT "$online/deployments/blue?$api" "{
    \"location\": \"$location\",
    \"sku\": { \"capacity\": \"1\", \"name\": \"Standard_DS2_v2\", },
    \"properties\": {
        \"EndpointComputeType\": \"Managed\",
        \"Model\": \"$model\",
        $environment_line
        \"ScaleSettings\": { \"ScaleType\": \"Default\", },
        \"RequestSettings\": { \"RequestTimeout\": \"PT1M\", \"MaxConcurrentRequestsPerInstance\": \"2\", },
    }
}" >/dev/null
await "$online/deployments/blue"
call PUT "$online?$api" "{
    \"properties\": { \"authMode\": \"AMLToken\", \"traffic\": { \"blue\": \"100\", }, },
    \"location\": \"$location\",
}" >/dev/null
await "$online"

say "score"
scoring_uri=$(call GET "$online?$api" | jq -r .properties.scoringUri)
access_token=$(call POST "$online/token?$api" | jq -r .accessToken)
curl --silent --show-error --fail-with-body --location --request POST "$scoring_uri" \
    --header "Authorization: Bearer $access_token" --header "Content-Type: application/json" --data "@$request"
echo
say "logs"
call POST "$online/deployments/blue/getLogs?$api" '{"tail": "20",}' | jq -r .content >&2

say "batch compute, endpoint and deployment"
call PUT "$ws/computes/rest-$suffix?$api" "{
    \"properties\": {
        \"computeType\": \"AmlCompute\",
        \"properties\": { \"osType\": \"Linux\", \"vmSize\": \"STANDARD_D2_V2\", \"scaleSettings\": { \"maxNodeCount\": 5, \"minNodeCount\": 0, }, },
    },
    \"location\": \"$location\",
}" >/dev/null
batch="$ws/batchEndpoints/rest-batch-$suffix"
call PUT "$batch?$api" "{ \"properties\": { \"authMode\": \"aadToken\", }, \"location\": \"$location\", }" >/dev/null
await "$batch"
call PUT "$batch/deployments/main?$api" "{
    \"location\": \"$location\",
    \"properties\": {
        \"model\": { \"referenceType\": \"Id\", \"assetId\": \"$model\", },
        $environment_line
        \"compute\": \"${ws#"$url"}/computes/rest-$suffix\",
        \"resources\": { \"instanceCount\": \"1\", },
        \"maxConcurrencyPerInstance\": \"2\",
        \"retrySettings\": { \"maxRetries\": \"3\", \"timeout\": \"PT30S\", },
        \"errorThreshold\": \"10\",
        \"loggingLevel\": \"info\",
        \"miniBatchSize\": \"5\",
    },
}" >/dev/null
await "$batch/deployments/main"
call PUT "$batch?$api" "{
    \"properties\": { \"authMode\": \"aadToken\", \"defaults\": { \"deploymentName\": \"main\", }, },
    \"location\": \"$location\",
}" >/dev/null

say "batch job"
upload "$input_folder" "rest-$suffix/input"
batch_uri=$(call GET "$batch?$api" | jq -r .properties.scoringUri)
job=$(call POST "$batch_uri" "{
    \"properties\": {
        \"InputData\": {
            \"customInput\": {
                \"JobInputType\": \"UriFolder\",
                \"Uri\": \"azureml://datastores/$store_name/paths/rest-$suffix/input/\",
            },
        },
        \"OutputData\": {
            \"customOutput\": {
                \"JobOutputType\": \"UriFile\",
                \"Uri\": \"azureml://datastores/$store_name/paths/rest-$suffix/output/predictions.csv\",
            },
        },
        \"miniBatchSize\": \"2\",
    }
}" | jq -r .name)
status=
until [ "$status" = Completed ]; do
    status=$(call GET "$batch_uri/$job" | jq -r .properties.status)
    case $status in
    Failed | Canceled) call GET "$ws/jobs/$job?$api" >&2; say "job $job: $status"; exit 1 ;;
    Completed) ;;
    *) sleep 1 ;;
    esac
done
curl --silent --show-error --fail "$blobs/rest-$suffix/output/predictions.csv?$sas" --output "$output_folder/predictions.csv"

say "delete"
for resource in "$online" "$batch" "$ws/computes/rest-$suffix"; do
    call DELETE "$resource?$api" >/dev/null
done
say "predictions are in $output_folder/predictions.csv"
