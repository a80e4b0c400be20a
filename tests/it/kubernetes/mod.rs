//! The manifests in vault-dev/kubernetes: their fields exist and have the right types, their objects refer to each
//! other, and what runs in them outside a cluster runs.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use kcr_external_secrets_io::v1::externalsecrets::ExternalSecret;
use kcr_generators_external_secrets_io::v1alpha1::vaultdynamicsecrets::VaultDynamicSecret as Generator;
use kcr_secrets_hashicorp_com::v1beta1::vaultauths::VaultAuth;
use kcr_secrets_hashicorp_com::v1beta1::vaultconnections::VaultConnection;
use kcr_secrets_hashicorp_com::v1beta1::vaultdynamicsecrets::VaultDynamicSecret;
use kcr_secrets_store_csi_x_k8s_io::v1::secretproviderclasses::SecretProviderClass;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::support::deps;

mod agent;
mod worker;

const INJECTOR: &str = "injector.yaml";
const SECRETS_OPERATOR: &str = "secrets-operator.yaml";
const EXTERNAL_SECRETS: &str = "external-secrets.yaml";
const CSI: &str = "csi.yaml";
const MANIFESTS: [&str; 4] = [INJECTOR, SECRETS_OPERATOR, EXTERNAL_SECRETS, CSI];

/// The role that every manifest reads a key of.
const PATH: &str = "ai/creds/dev";
/// The role of the Kubernetes auth method that docs/kubernetes.md writes.
const AUTH_ROLE: &str = "worker";
/// The fields of a lease that the manifests use.
const FIELDS: [&str; 2] = ["api_key", "base_url"];
const VARIABLES: [&str; 2] = ["OPENAI_API_KEY", "OPENAI_BASE_URL"];

#[test]
fn every_manifest_is_valid() {
    let stored = std::fs::read_dir(folder()).expect("a folder").count();
    assert_eq!(stored, MANIFESTS.len(), "a manifest is not checked");
    for name in MANIFESTS {
        checked(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn a_broken_manifest_is_found() {
    let breaks = [
        (INJECTOR, "runAsNonRoot:", "runAsNoRoot:", "runAsNoRoot"),
        (INJECTOR, "replicas: 1", "replicas: one", "is not of type 'integer'"),
        (INJECTOR, "kind: Deployment", "kind: Deploymnt", "no type for"),
        (INJECTOR, "agent-revoke-grace:", "agent-revoke-on-shutdown:", "stands twice"),
        (SECRETS_OPERATOR, "renewalPercent: 67", "renewalPercent: soon", "invalid type"),
        (SECRETS_OPERATOR, "- kind: Deployment", "- kind: Deploymnt", "unknown variant"),
        (SECRETS_OPERATOR, "serviceAccount: worker", "serviceAcount: worker", "serviceAcount"),
        (SECRETS_OPERATOR, "skipTLSVerify:", "skipTlsVerify:", "skipTLSVerify"),
        (EXTERNAL_SECRETS, "refreshInterval:", "refreshIntervall:", "refreshIntervall"),
        (EXTERNAL_SECRETS, "ttl: [\"1h\"]", "ttl: 1h", "invalid type"),
        (EXTERNAL_SECRETS, "defaultMode: 288", "defaultMode: \"0440\"", "is not of type 'integer'"),
        (CSI, "provider: vault", "provider: [vault]", "invalid type"),
        (CSI, "volumeAttributes:", "volumeAttribute:", "volumeAttribute"),
    ];
    for (name, good, bad, complaint) in breaks {
        let broken = text(name).replacen(good, bad, 1);
        assert_ne!(broken, text(name), "{name} has no {good}");
        let error = checked(&broken).expect_err(bad);
        assert!(error.contains(complaint), "{name}, {bad}: {error}");
    }
}

#[test]
fn the_objects_of_a_manifest_belong_together() {
    for name in MANIFESTS {
        let manifest = Manifest::read(name);
        for object in &manifest.0 {
            let namespace = if object["kind"] == "Namespace" { "/metadata/name" } else { "/metadata/namespace" };
            assert_eq!(at(object, namespace), "worker", "{name}: {object}");
        }
        let deployment = manifest.one("Deployment");
        let template = &deployment["spec"]["template"];
        assert_eq!(deployment["spec"]["selector"]["matchLabels"], template["metadata"]["labels"], "{name}");
        assert_eq!(at(template, "/spec/serviceAccountName"), manifest.name("ServiceAccount"), "{name}");
        let container = &template["spec"]["containers"][0];
        let volumes = template["spec"]["volumes"].as_array();
        for mount in container["volumeMounts"].as_array().into_iter().flatten() {
            let has = volumes.into_iter().flatten().any(|volume| volume["name"] == mount["name"]);
            assert!(has, "{name}: no volume {}", mount["name"]);
        }
    }
}

#[test]
fn the_injector_s_annotations_belong_together() {
    let manifest = Manifest::read(INJECTOR);
    let annotation = |name: &str| manifest.annotation(name);
    assert_eq!(annotation("role"), AUTH_ROLE);
    assert_eq!(annotation("agent-inject-secret-ai.env"), PATH);
    assert!(annotation("agent-inject-template-ai.env").contains(&format!("secret \"{PATH}\"")));
    let spec = &manifest.one("Deployment")["spec"]["template"]["spec"];
    let volumes = spec["volumes"].as_array().expect("volumes");
    let token = annotation("agent-service-account-token-volume-name");
    assert!(volumes.iter().any(|volume| volume["name"] == token && volume["projected"].is_object()));
    assert_eq!(annotation("agent-run-as-group"), spec["securityContext"]["runAsGroup"].to_string());
    let grace: i64 = annotation("agent-revoke-grace").parse().expect("a number");
    assert!(grace < spec["terminationGracePeriodSeconds"].as_i64().expect("a number"), "the pod is killed before");
}

#[test]
fn the_secrets_operator_s_objects_refer_to_each_other() {
    let manifest = Manifest::read(SECRETS_OPERATOR);
    let (auth, secret) = (&manifest.one("VaultAuth")["spec"], &manifest.one("VaultDynamicSecret")["spec"]);
    assert_eq!(at(auth, "/vaultConnectionRef"), manifest.name("VaultConnection"));
    assert_eq!(at(auth, "/kubernetes/role"), AUTH_ROLE);
    assert_eq!(at(auth, "/kubernetes/serviceAccount"), manifest.name("ServiceAccount"));
    assert_eq!(at(secret, "/vaultAuthRef"), manifest.name("VaultAuth"));
    assert_eq!(format!("{}/{}", at(secret, "/mount"), at(secret, "/path")), PATH);
    assert_eq!(at(secret, "/rolloutRestartTargets/0/name"), manifest.name("Deployment"));
    let read = at(manifest.container(), "/envFrom/0/secretRef/name");
    assert_eq!(at(secret, "/destination/name"), read);
    for (variable, field) in VARIABLES.into_iter().zip(FIELDS) {
        let template = at(secret, &format!("/destination/transformation/templates/{variable}/text"));
        assert_eq!(template, format!("{{{{ get .Secrets \"{field}\" }}}}"));
    }
}

/// The page has one object of that manifest in another form.
#[test]
fn a_static_role_s_object_takes_the_place_of_the_lease_s() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/kubernetes.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let (_, rest) = page.split_once("```yaml\n").expect("an object");
    let objects = checked(rest.split("```").next().expect("its end")).expect("valid");
    let [Value::Object(object)] = objects.as_slice() else { panic!("{objects:?}") };
    let manifest = Manifest::read(SECRETS_OPERATOR);
    let lease = manifest.one("VaultDynamicSecret");
    assert_eq!(object["metadata"], lease["metadata"]);
    let (spec, lease) = (&object["spec"], &lease["spec"]);
    assert_eq!((at(spec, "/path"), &spec["allowStaticCreds"]), ("static-creds/app-legacy", &Value::Bool(true)));
    for same in ["vaultAuthRef", "mount", "destination", "rolloutRestartTargets"] {
        assert_eq!(spec[same], lease[same], "{same}");
    }
}

#[test]
fn the_external_secret_reads_its_generator() {
    let manifest = Manifest::read(EXTERNAL_SECRETS);
    let (generator, secret) = (manifest.one("VaultDynamicSecret"), &manifest.one("ExternalSecret")["spec"]);
    let reference = &secret["dataFrom"][0]["sourceRef"]["generatorRef"];
    assert_eq!(reference["apiVersion"], generator["apiVersion"]);
    assert_eq!(reference["kind"], generator["kind"]);
    assert_eq!(reference["name"], generator["metadata"]["name"]);
    assert_eq!(at(generator, "/spec/path"), PATH);
    let login = &generator["spec"]["provider"]["auth"]["kubernetes"];
    assert_eq!(at(login, "/role"), AUTH_ROLE);
    assert_eq!(at(login, "/serviceAccountRef/name"), manifest.name("ServiceAccount"));
    let volume = manifest.volume("ai");
    assert_eq!(at(volume, "/secret/secretName"), at(secret, "/target/name"));
    // Its files are root's; the mode below lets the group read them.
    assert_eq!(volume["secret"]["defaultMode"], 0o440);
    let user = &manifest.one("Deployment")["spec"]["template"]["spec"]["securityContext"];
    assert_eq!(user["fsGroup"], user["runAsGroup"]);
    for (variable, field) in VARIABLES.into_iter().zip(FIELDS) {
        assert_eq!(at(secret, &format!("/target/template/data/{variable}")), format!("{{{{ .{field} }}}}"));
    }
}

#[test]
fn the_csi_volume_mounts_its_class() {
    let manifest = Manifest::read(CSI);
    let class = manifest.volume("ai");
    assert_eq!(at(class, "/csi/volumeAttributes/secretProviderClass"), manifest.name("SecretProviderClass"));
    let parameters = &manifest.one("SecretProviderClass")["spec"]["parameters"];
    assert_eq!(at(parameters, "/roleName"), AUTH_ROLE);
    let objects = at(parameters, "/objects");
    let values = |field: &str| -> Vec<&str> {
        objects.lines().filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix(field)).collect()
    };
    let paths = values("secretPath: ");
    assert_eq!(paths[0].split('?').next(), Some(PATH));
    assert!(paths.iter().all(|path| path == &paths[0]), "two paths make two keys: {paths:?}");
    assert_eq!(values("secretKey: "), FIELDS);
    assert_eq!(values("filePermission: "), ["0444", "0444"]);
}

/// The objects of a manifest.
struct Manifest(Vec<Value>);

impl Manifest {
    fn read(name: &str) -> Self {
        Self(checked(&text(name)).expect("a valid manifest"))
    }

    fn one(&self, kind: &str) -> &Value {
        self.0.iter().find(|object| object["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
    }

    fn name(&self, kind: &str) -> &str {
        at(self.one(kind), "/metadata/name")
    }

    fn container(&self) -> &Value {
        &self.one("Deployment")["spec"]["template"]["spec"]["containers"][0]
    }

    fn volume(&self, name: &str) -> &Value {
        let volumes = self.one("Deployment")["spec"]["template"]["spec"]["volumes"].as_array().expect("volumes");
        volumes.iter().find(|volume| volume["name"] == name).expect("the volume")
    }

    fn annotation(&self, name: &str) -> String {
        let annotations = &self.one("Deployment")["spec"]["template"]["metadata"]["annotations"];
        annotations[format!("vault.hashicorp.com/{name}")].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned()
    }
}

fn at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no text {pointer} in {value}"))
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vault-dev/kubernetes")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The objects of a manifest, or what is wrong with it.
fn checked(manifest: &str) -> Result<Vec<Value>, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests.py");
    let mut python = Command::new("python3")
        .arg(script)
        .env("PATH", &*deps::PATH)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    python.stdin.take().expect("piped").write_all(manifest.as_bytes()).expect("written");
    let output = python.wait_with_output().expect("waited");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let objects: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    for object in &objects {
        match (at(object, "/apiVersion"), at(object, "/kind")) {
            // These the script has checked.
            ("v1", "Namespace" | "ServiceAccount") | ("apps/v1", "Deployment") => {}
            ("secrets.hashicorp.com/v1beta1", "VaultConnection") => typed::<VaultConnection>(object)?,
            ("secrets.hashicorp.com/v1beta1", "VaultAuth") => typed::<VaultAuth>(object)?,
            ("secrets.hashicorp.com/v1beta1", "VaultDynamicSecret") => typed::<VaultDynamicSecret>(object)?,
            ("generators.external-secrets.io/v1alpha1", "VaultDynamicSecret") => typed::<Generator>(object)?,
            ("external-secrets.io/v1", "ExternalSecret") => typed::<ExternalSecret>(object)?,
            ("secrets-store.csi.x-k8s.io/v1", "SecretProviderClass") => typed::<SecretProviderClass>(object)?,
            (version, kind) => return Err(format!("no type for {version} {kind}")),
        }
    }
    Ok(objects)
}

/// A field that the type does not have is lost on the way through it, so what comes back is not what went in.
fn typed<T: Serialize + DeserializeOwned>(object: &Value) -> Result<(), String> {
    let read: T = serde_json::from_value(object.clone()).map_err(|error| error.to_string())?;
    let known = serde_json::to_value(&read).map_err(|error| error.to_string())?;
    if known == *object { Ok(()) } else { Err(format!("not all of it is known:\n  {object}\n  {known}")) }
}
