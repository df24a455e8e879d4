"""The whole site. Sign-in is asked of every page that does not say otherwise."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.contrib.auth.decorators import login_not_required, login_required
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import IsAuthenticated

from annotation.api import Predicts
from dager_site import dashboard
from dager_site.health import healthz, readyz
from dager_site.metrics import Metrics
from dager_site.sign_in import ChangePassword, SignIn
from inference import api as predictions

signed_in = {"permission_classes": [IsAuthenticated]}
predicts = {"permission_classes": [Predicts]}

# Browsers ask for it on pages that name no icon, such as Django's admin.
icon = login_not_required(RedirectView.as_view(url=static("annotation/icon.svg"), http_method_names=["get", "head"]))
own_password = RedirectView.as_view(pattern_name="password_change", http_method_names=["get", "head"])

urlpatterns = [
    path("favicon.ico", icon, name="favicon"),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", Metrics.as_view(), name="metrics"),
    path("dashboard/", dashboard.show, name="dashboard"),
    path("dashboard/figures", dashboard.figures_json, name="dashboard-figures"),
    path("dashboard/map", dashboard.map_json, name="dashboard-map"),
    path("dashboard/map/<int:pk>", dashboard.map_face, name="dashboard-face"),
    path("dashboard/again", dashboard.again, name="dashboard-again"),
    path("sign-in", auth.LoginView.as_view(redirect_authenticated_user=True, authentication_form=SignIn), name="login"),
    path("sign-out", auth.LogoutView.as_view(), name="logout"),
    path("password", ChangePassword.as_view(), name="password_change"),
    path("api/", RedirectView.as_view(pattern_name="api-docs", http_method_names=["get", "head"]), name="api"),
    path("api/schema", SpectacularAPIView.as_view(**signed_in), name="schema"),
    path(
        "api/docs/",
        login_required(SpectacularSwaggerSplitView.as_view(**signed_in, url_name="schema")),
        name="api-docs",
    ),
    path("admin/", include([path("password_change/", own_password)])),  # by the one page that asks for the old one
    path("admin/", admin.site.urls),
    path("api/v1/predict", predictions.Predict.as_view(**predicts), name="predict"),
    path("api/v1/predict/batch", predictions.PredictBatch.as_view(**predicts), name="predict-batch"),
    path("api/v1/embed", predictions.Embed.as_view(**predicts), name="embed"),
    path("api/v1/verify", predictions.Verify.as_view(**predicts), name="verify"),
    path("", include("annotation.urls")),
    path("", include("training.urls")),
]

handler400 = "dager_site.api_errors.bad_request"
handler403 = "dager_site.api_errors.permission_denied"
handler404 = "dager_site.api_errors.not_found"
handler500 = "dager_site.api_errors.server_error"
