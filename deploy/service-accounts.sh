#!/usr/bin/env bash
# The accounts of one project, each with no more than it needs. It may be repeated.
#
#   deploy/service-accounts.sh PROJECT BUCKET [OWNER/REPOSITORY]
#
# cronfolio-runtime    runs the functions: documents, one bucket, its secrets, logs
# cronfolio-scheduler  calls the functions, and nothing else
# cronfolio-deployer   deploys; with a repository given, its GitHub Actions may act as it, without any key
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: deploy/service-accounts.sh PROJECT BUCKET [OWNER/REPOSITORY]" >&2
  exit 2
fi
project=$1 bucket=$2 repository=${3:-}
host=$project.iam.gserviceaccount.com
runtime=cronfolio-runtime@$host scheduler=cronfolio-scheduler@$host deployer=cronfolio-deployer@$host

account() { # NAME WORDS
  gcloud iam service-accounts describe "$1@$host" --project="$project" >/dev/null 2>&1 ||
    gcloud iam service-accounts create "$1" --display-name="$2" --project="$project"
}
may() { # ACCOUNT ROLE: in the whole project
  gcloud projects add-iam-policy-binding "$project" --member="serviceAccount:$1" --role="roles/$2" \
    --condition=None --quiet >/dev/null
}
may_as() { # ACCOUNT ROLE OTHER: towards another account
  gcloud iam service-accounts add-iam-policy-binding "$3" --member="$1" --role="roles/$2" \
    --project="$project" --quiet >/dev/null
}

gcloud services enable artifactregistry.googleapis.com cloudbuild.googleapis.com cloudfunctions.googleapis.com \
  cloudscheduler.googleapis.com firestore.googleapis.com iamcredentials.googleapis.com logging.googleapis.com \
  monitoring.googleapis.com run.googleapis.com secretmanager.googleapis.com --project="$project"

account cronfolio-runtime "Runs the functions of Cronfolio"
may "$runtime" datastore.user
may "$runtime" logging.logWriter
gcloud storage buckets add-iam-policy-binding "gs://$bucket" --member="serviceAccount:$runtime" \
  --role=roles/storage.objectAdmin --project="$project" >/dev/null
for secret in ALPACA_PAPER_API_KEY ALPACA_PAPER_SECRET_KEY OPENAI_API_KEY; do
  gcloud secrets describe "$secret" --project="$project" >/dev/null 2>&1 ||
    gcloud secrets create "$secret" --replication-policy=automatic --project="$project"
  gcloud secrets add-iam-policy-binding "$secret" --member="serviceAccount:$runtime" \
    --role=roles/secretmanager.secretAccessor --project="$project" >/dev/null
done

account cronfolio-scheduler "Calls the functions of Cronfolio"
# In the project, since a deployment takes the callers of a single private function away again.
may "$scheduler" run.invoker

account cronfolio-deployer "Deploys Cronfolio"
for role in cloudfunctions.developer cloudscheduler.admin datastore.indexAdmin firebaserules.admin logging.configWriter \
  monitoring.editor run.admin secretmanager.viewer serviceusage.serviceUsageConsumer; do
  may "$deployer" "$role"
done
builder=$(gcloud projects describe "$project" --format="value(projectNumber)")-compute@developer.gserviceaccount.com
for account in "$runtime" "$scheduler" "$builder"; do
  may_as "serviceAccount:$deployer" iam.serviceAccountUser "$account"
done
# The canary calls the functions as the scheduler does.
may_as "serviceAccount:$deployer" iam.serviceAccountOpenIdTokenCreator "$scheduler"

if [ -n "$repository" ]; then
  number=${builder%-compute@*}
  pool=projects/$number/locations/global/workloadIdentityPools/github
  gcloud iam workload-identity-pools describe github --location=global --project="$project" >/dev/null 2>&1 ||
    gcloud iam workload-identity-pools create github --location=global --project="$project"
  gcloud iam workload-identity-pools providers describe cronfolio --workload-identity-pool=github --location=global \
    --project="$project" >/dev/null 2>&1 ||
    gcloud iam workload-identity-pools providers create-oidc cronfolio --workload-identity-pool=github \
      --location=global --issuer-uri=https://token.actions.githubusercontent.com \
      --attribute-mapping=google.subject=assertion.sub,attribute.repository=assertion.repository \
      --attribute-condition="assertion.repository == '$repository' && assertion.ref == 'refs/heads/main'" \
      --project="$project"
  may_as "principalSet://iam.googleapis.com/$pool/attribute.repository/$repository" iam.workloadIdentityUser "$deployer"
  echo "WORKLOAD_IDENTITY_PROVIDER=$pool/providers/cronfolio"
  echo "DEPLOYER=$deployer"
fi
