//! The schemes of authentication in the description of the interface.

use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder};
use utoipa::openapi::security::{SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi, PathItem};

/// Adds the schemes: a token for all operations, and the cookie of the web page for those that read.
pub fn add_security(openapi: &mut OpenApi, cookie: &str) {
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let session = ApiKeyValue::with_description(
        cookie,
        "The cookie of the web page, which the form at /sign-in sets. It serves to read.",
    );
    let components = openapi.components.get_or_insert_with(Default::default);
    components.add_security_scheme("token", SecurityScheme::Http(token));
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)));
    let reads = openapi.paths.paths.values_mut().filter_map(|PathItem { get, .. }| get.as_mut());
    // The description as a whole asks for a token; an operation with a list of its own is public.
    for operation in reads.filter(|operation| operation.security.is_none()) {
        let either = ["token", "session"].map(|name| SecurityRequirement::new(name, [""; 0]));
        operation.security = Some(either.into());
    }
}
