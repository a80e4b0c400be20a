use tonic::{Request, Response, Status};

use super::instance::Instance;
use super::instances::Instances;
use super::proto::pb;
use super::reply::{existence_reply, initialize_reply, reply};
use crate::go_plugin::Broker;
use crate::logical::{Factory, Report};

/// `TypeReply` of a secrets engine.
const SECRETS_ENGINE: u32 = 1;

type Answer<T> = Result<Response<T>, Status>;

/// The calls of the host, each handed to the instance it is about. Failures are told within the reply: a
/// status of gRPC is shown to users as an internal error with its code.
pub(super) struct Backend {
    instances: Instances,
    broker: Broker,
    factory: Factory,
}

impl Backend {
    pub(super) const fn new(instances: Instances, broker: Broker, factory: Factory) -> Self {
        Self { instances, broker, factory }
    }
}

#[tonic::async_trait]
impl pb::backend_server::Backend for Backend {
    async fn setup(&self, call: Request<pb::SetupArgs>) -> Answer<pb::SetupReply> {
        let (metadata, _, setup) = call.into_parts();
        match Instance::new(setup, &self.broker, &self.factory) {
            Ok(instance) => {
                if let Some(replaced) = self.instances.insert(&metadata, instance)? {
                    tokio::spawn(replaced.settle());
                }
                Ok(Response::new(pb::SetupReply { err: String::new() }))
            }
            Err(error) => {
                error.report("");
                Ok(Response::new(pb::SetupReply { err: error.to_string() }))
            }
        }
    }

    async fn r#type(&self, _call: Request<pb::Empty>) -> Answer<pb::TypeReply> {
        Ok(Response::new(pb::TypeReply { r#type: SECRETS_ENGINE }))
    }

    async fn special_paths(&self, call: Request<pb::Empty>) -> Answer<pb::SpecialPathsReply> {
        let special = self.instances.of(call.metadata())?.special_paths();
        let paths = pb::Paths {
            root: special.root,
            unauthenticated: special.unauthenticated,
            local_storage: special.local_storage,
            seal_wrap_storage: special.seal_wrap_storage,
        };
        Ok(Response::new(pb::SpecialPathsReply { paths: Some(paths) }))
    }

    async fn initialize(&self, call: Request<pb::InitializeArgs>) -> Answer<pb::InitializeReply> {
        let instance = self.instances.of(call.metadata())?;
        Ok(Response::new(initialize_reply(instance.initialize().await)))
    }

    async fn handle_request(&self, call: Request<pb::HandleRequestArgs>) -> Answer<pb::HandleRequestReply> {
        let instance = self.instances.of(call.metadata())?;
        let asked = call.into_inner().request.ok_or_else(|| Status::invalid_argument("no request"))?;
        Ok(Response::new(reply(instance.handle(asked).await)))
    }

    async fn handle_existence_check(
        &self,
        call: Request<pb::HandleExistenceCheckArgs>,
    ) -> Answer<pb::HandleExistenceCheckReply> {
        let instance = self.instances.of(call.metadata())?;
        let asked = call.into_inner().request.ok_or_else(|| Status::invalid_argument("no request"))?;
        Ok(Response::new(existence_reply(instance.exists(asked).await)))
    }

    async fn invalidate_key(&self, call: Request<pb::InvalidateKeyArgs>) -> Answer<pb::Empty> {
        let instance = self.instances.of(call.metadata())?;
        instance.invalidate(&call.get_ref().key);
        Ok(Response::new(pb::Empty {}))
    }

    async fn cleanup(&self, call: Request<pb::Empty>) -> Answer<pb::Empty> {
        self.instances.remove(call.metadata())?.cleanup().await;
        Ok(Response::new(pb::Empty {}))
    }
}
