"""Where the pages and the API of training are."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from training import api, views

pages = [
    path("trainings/", views.trainings, name="trainings"),
    path("trainings/start", views.start, name="training-start"),
    path("trainings/<int:pk>/", views.training, name="training"),
    path("trainings/<int:pk>/progress", views.progress, name="training-progress"),
    path("trainings/<int:pk>/stop", views.stop, name="training-stop"),
    path("trainings/<int:pk>/go-on", views.go_on, name="training-go-on"),
    path("models/", views.models, name="models"),
    path("models/<int:pk>/", views.model, name="model"),
    path("models/<int:pk>/promote", views.promote, name="model-promote"),
    path("models/<int:pk>/roll-back", views.roll_back, name="model-roll-back"),
    path("models/judged/<int:pk>/<slug:name>.png", views.picture, name="evaluation-picture"),
    path("models/judged/<int:pk>/faces", views.differences, name="differences"),
    path("leader-board/", views.leader_board, name="leader-board"),
]

router = SimpleRouter(trailing_slash=False)
router.register("runs", api.Runs, basename="api-run")
router.register("models", api.Models, basename="api-model")
router.register("promotions", api.Promotions, basename="api-promotion")
router.register("certificates", api.Certificates, basename="api-certificate")

urlpatterns = [*pages, path("api/v1/", include(router.urls))]
