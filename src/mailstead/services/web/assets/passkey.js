// Passkeys: what the server asks for goes to the browser, and what the browser gives goes back in the form.
// Without this script, or without passkeys in the browser, these forms stay hidden.
const octets = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

function asked(options) {
  const known = (list) => (list ?? []).map((each) => ({ ...each, id: octets(each.id) }));
  const made = { ...options, challenge: octets(options.challenge) };
  if (options.user) {
    return { ...made, user: { ...options.user, id: octets(options.user.id) }, excludeCredentials: known(options.excludeCredentials) };
  }
  return { ...made, allowCredentials: known(options.allowCredentials) };
}

function told(credential) {
  const response = { clientDataJSON: text(credential.response.clientDataJSON) };
  for (const name of ["authenticatorData", "signature", "userHandle", "attestationObject"]) {
    if (credential.response[name]) {
      response[name] = text(credential.response[name]);
    }
  }
  if (credential.response.getTransports) {
    response.transports = credential.response.getTransports();
  }
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment,
    clientExtensionResults: credential.getClientExtensionResults(),
    response,
  };
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential) {
    continue;
  }
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    if (form.elements.passkey.value) {
      return;
    }
    event.preventDefault();
    const publicKey = asked(JSON.parse(form.dataset.passkey));
    try {
      const made = publicKey.user
        ? await navigator.credentials.create({ publicKey })
        : await navigator.credentials.get({ publicKey });
      form.elements.passkey.value = JSON.stringify(told(made));
      form.submit();
    } catch {
      const status = form.querySelector("[role=status]");
      status.textContent = status.dataset.failed;
    }
  });
}
