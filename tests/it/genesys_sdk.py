"""Drives the simulated Genesys Cloud with Genesys' own SDK and prints what came of it as one line of JSON.

The only argument is JSON: url, clientId, clientSecret, conversation, recording, formats, interval.
"""

import hashlib
import json
import sys
import urllib.request

import PureCloudPlatformClientV2 as genesys

wanted = json.loads(sys.argv[1])
client = genesys.api_client.ApiClient(host=wanted["url"])
client.get_client_credentials_token(wanted["clientId"], wanted["clientSecret"])
recordings = genesys.RecordingApi(client)
analytics = genesys.AnalyticsApi(client)
conversations = genesys.ConversationsApi(client)
of = (wanted["conversation"], wanted["recording"])


def download(url):
    """Bytes and content type of a signed URL, which is asked without the token."""
    with urllib.request.urlopen(url) as answer:
        body = answer.read()
        return {
            "sha256": hashlib.sha256(body).hexdigest(),
            "start": body[:4].hex(),
            "contentType": answer.headers["content-type"],
        }


def opened(**options):
    """The recording, asked for until it is transcoded."""
    for _ in range(5):
        recording = recordings.get_conversation_recording(*of, **options)
        if recording is not None and recording.media_uris:
            return recording
    raise SystemExit(f"no media for {options}")


def files(recording):
    return {key: download(file.media_uri) for key, file in recording.media_uris.items()}


metadata = recordings.get_conversation_recordingmetadata(wanted["conversation"])
call = conversations.get_conversation(wanted["conversation"])
result = {
    "metadata": [[one.id, one.media, one.file_state, one.region] for one in metadata],
    "callEnded": call.end_time is not None,
    "wrapup": [person.wrapup.code for person in call.participants if person.wrapup],
    "merged": {name: files(opened(format_id=name, download=True)) for name in wanted["formats"]},
    "split": files(opened(format_id="WAV")),
    "joined": files(opened(media_formats=["WAV", "MP3"], download=True)),
}
pauses = opened(format_id="WAV").annotations
result["annotations"] = [[one.type, one.reason, one.location, len(one.annotations or [])] for one in pauses]

query = genesys.ConversationQuery()
query.interval = wanted["interval"]
listed = analytics.post_analytics_conversations_details_query(query)
result["query"] = [one.conversation_id for one in listed.conversations]

job = genesys.AsyncConversationQuery()
job.interval = wanted["interval"]
job = analytics.post_analytics_conversations_details_jobs(job).job_id
states = []
while not states or states[-1] in ("QUEUED", "PENDING"):
    states.append(analytics.get_analytics_conversations_details_job(job).state)
page = analytics.get_analytics_conversations_details_job_results(job)
result["job"] = {"states": states, "conversations": [one.conversation_id for one in page.conversations]}

ids = [wanted["conversation"], "c0000000-0000-4000-8000-00000000ffff"]
several = analytics.get_analytics_conversations_details(id=ids)
result["details"] = [[one.conversation_id, one.conversation_end is not None] for one in several.conversations]
orphans = recordings.get_orphanrecordings(has_conversation=True)
result["orphans"] = [[one.orphan_status, one.recording.conversation_id] for one in orphans.entities]
limits = genesys.OrganizationApi(client).get_organizations_limits_namespace("platform.api")
result["limits"] = {one.key: one.value for one in limits.entities}
topics = genesys.NotificationsApi(client).get_notifications_availabletopics(expand=["transports"])
result["topics"] = {one.id: one.transports for one in topics.entities}
try:
    recordings.get_conversation_recordingmetadata(ids[1])
except genesys.rest.ApiException as error:
    result["unknown"] = [error.status, json.loads(error.body)["code"]]
print(json.dumps(result))
