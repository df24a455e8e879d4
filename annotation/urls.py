"""Where the pages and the API of annotation are."""

from django.urls import URLPattern, URLResolver, include, path
from rest_framework.routers import SimpleRouter

from annotation import api, api_erasures, api_predictions
from annotation.core import practice
from annotation.views import (
    annotate,
    audit,
    curate,
    engine,
    erasures,
    exports,
    home,
    people,
    photos,
    releases,
    runs,
    settings,
    sources,
    tokens,
    try_it,
)

pages = [
    path("", home.home, name="home"),
    path("annotate/", annotate.annotate, name="annotate"),
    path("annotate/bring-back", annotate.bring_back, name="bring-back"),
    path(f"practice/{practice.VERSION}/<str:name>.jpg", annotate.practice_picture, name="practice-picture"),
    path("answers/", annotate.own_answers, name="answers"),
    path("answers/<int:pk>/undo", annotate.undo, name="undo"),
    path("people/", people.people, name="people"),
    path("people/alike", people.suggestions, name="suggestions"),
    path("people/alike/decide", people.decide_suggestions, name="suggestions-decide"),
    path("people/by-face", people.by_face, name="by-face"),
    path("people/acts", people.history, name="acts"),
    path("people/merge", people.merge_preview, name="merge-preview"),
    path("people/merge/confirm", people.merge, name="merge"),
    path("people/<int:pk>/", people.person, name="person"),
    path("people/<int:pk>/rename", people.rename, name="rename"),
    path("people/<int:pk>/describe", people.describe, name="describe"),
    path("people/<int:pk>/merge", people.merge_with, name="merge-with"),
    path("people/<int:pk>/split", people.by_likeness, name="by-likeness"),
    path("people/<int:pk>/split/confirm", people.split_by_likeness, name="split-by-likeness"),
    path("clusters/", people.clusters, name="clusters"),
    path("clusters/<int:pk>/", people.cluster, name="cluster"),
    path("photos/", photos.photos, name="photos"),
    path("photos/<int:pk>/", photos.photo, name="photo"),
    path("photos/<int:pk>/file", photos.photo_file, name="photo-file"),
    path("photos/<int:pk>/small", photos.photo_small, name="photo-small"),
    path("faces/", photos.faces, name="faces"),
    path("faces/act", people.act_on_faces, name="faces-act"),
    path("faces/<int:pk>/", photos.face, name="face"),
    path("faces/<int:pk>/crop", photos.face_crop, name="face-crop"),
    path("sources/", sources.sources, name="sources"),
    path("sources/new", sources.source_new, name="source-new"),
    path("sources/<int:pk>/", sources.source, name="source"),
    path("sources/<int:pk>/rights", sources.state_rights, name="state-rights"),
    path("sources/<int:pk>/upload", sources.upload, name="upload"),
    path("sources/<int:pk>/intakes", sources.start_intake, name="start-intake"),
    path("sources/<int:pk>/refusals", sources.refusals, name="refusals"),
    path("sources/<int:pk>/refusals.csv", sources.refusals_csv, name="refusals-csv"),
    path("runs/", runs.runs, name="runs"),
    path("runs/start", runs.start, name="run-start"),
    path("runs/<int:pk>/", runs.run, name="run"),
    path("runs/<int:pk>/apply", runs.apply, name="run-apply"),
    path("runs/<int:pk>/discard", runs.discard, name="run-discard"),
    path("engine/", engine.engine, name="engine"),
    path("engine/certificates/<int:pk>/revoke", engine.revoke, name="certificate-revoke"),
    path("engine/annotators/<int:pk>/let-back", engine.let_back, name="let-back"),
    path("curate/", curate.to_decide, name="conflicts"),
    path("curate/decided", curate.decided, name="conflicts-decided"),
    path("curate/<int:pk>/", curate.conflict, name="conflict"),
    path("curate/<int:pk>/decide", curate.decide, name="decide"),
    path("curate/<int:pk>/reopen", curate.reopen, name="reopen"),
    path("curate/live", curate.live, name="live"),
    path("curate/annotators/", curate.annotators, name="annotators"),
    path("curate/annotators/<int:pk>/", curate.annotator, name="annotator"),
    path("curate/annotators/<int:pk>/reassign", curate.reassign, name="reassign"),
    path("faces/ask", curate.ask, name="faces-ask"),
    path("releases/", releases.releases, name="releases"),
    path("releases/new", releases.release_new, name="release-new"),
    path("releases/<int:pk>/", releases.release, name="release"),
    path("releases/<int:pk>/verify", releases.verify, name="release-verify"),
    path("releases/<int:pk>/datasheet", releases.datasheet, name="release-datasheet"),
    path("releases/<int:pk>/download/<slug:layout>", releases.download, name="release-download"),
    path("tokens/", tokens.own, name="tokens"),
    path("tokens/<int:pk>/revoke", tokens.revoke, name="token-revoke"),
    path("audit/", audit.log, name="audit"),
    path("audit/export.jsonl", audit.export, name="audit-export"),
    path("erasures/", erasures.erasures, name="erasures"),
    path("erasures/ask", erasures.ask, name="erasure-ask"),
    path("erasures/verify", erasures.verify, name="erasure-verify"),
    path("erasures/<int:pk>/", erasures.one, name="erasure"),
    path("erasures/<int:pk>/report.json", erasures.report, name="erasure-report"),
    path("erasures/<int:pk>/go-on", erasures.go_on, name="erasure-go-on"),
    path("erasures/<int:pk>/let-back", erasures.let_back, name="erasure-let-back"),
    path("holds/", erasures.all_holds, name="holds"),
    path("holds/place", erasures.place, name="hold-place"),
    path("holds/<int:pk>/lift", erasures.lift, name="hold-lift"),
    path("settings/", settings.settings, name="settings"),
    path("settings/change", settings.change, name="setting-change"),
    path("try/", try_it.try_it, name="try-it"),
    path("export/", exports.export_page, name="export"),
    path("export/labels.csv", exports.labels_csv, name="labels-csv"),
    path("export/labels.parquet", exports.labels_parquet, name="labels-parquet"),
]

router = SimpleRouter(trailing_slash=False)
router.register("sources", api.Sources)
router.register("photos", api.Photos)
router.register("faces", api.Faces)
router.register("identities", api.Identities)
router.register("releases", api.Releases, basename="api-release")
router.register("labels", api.Labels, basename="label")
router.register("erasures", api_erasures.Erasures, basename="api-erasure")
router.register("holds", api_erasures.Holds, basename="api-hold")
router.register("feedback", api_predictions.Feedbacks, basename="api-feedback")

v1: list[URLPattern | URLResolver] = [
    path("standing", api.Standing.as_view(), name="api-standing"),
    path("questions/next", api.NextQuestions.as_view(), name="api-next"),
    path("questions/give-back", api.GiveBack.as_view(), name="api-give-back"),
    path("questions/bring-back-skipped", api.BringBackSkipped.as_view(), name="api-bring-back"),
    path("questions/<int:pk>/crops/<int:face>", api.HeldCrop.as_view(), name="api-held-crop"),
    path("questions/<int:pk>/photos/<int:photo>", api.HeldPhoto.as_view(), name="api-held-photo"),
    path("questions/<int:pk>/answer", api.GiveAnswer.as_view(), name="api-answer"),
    path("questions/<int:pk>/skip", api.Skip.as_view(), name="api-skip"),
    path("practice", api.Practice.as_view(), name="api-practice"),
    path("answers", api.OwnAnswers.as_view(), name="api-answers"),
    path("answers/<int:pk>/undo", api.Undo.as_view(), name="api-undo"),
    path("sources/<int:pk>/photos", api.Upload.as_view(), name="api-upload"),
    path("sources/<int:pk>/intakes", api.Intakes.as_view(), name="api-intakes"),
    path("search", api_predictions.Search.as_view(), name="api-search"),
    path("", include(router.urls)),
]

urlpatterns = [*pages, path("api/v1/", include(v1))]
