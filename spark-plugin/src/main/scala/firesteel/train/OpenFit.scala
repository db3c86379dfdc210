package firesteel.train

import firesteel.bridge.{NativeServer, UntrainedModelException}
import firesteel.data.Closing
import firesteel.network.Archive
import org.apache.spark.SparkContext

/** A fit and the part of the cluster that it gets.
  *
  * @param slots
  *   the slots of the application
  * @param workers
  *   the workers of the fit
  */
private[train] final case class SizedPlan(plan: FitPlan, slots: Int, workers: Int) {

  /** The tasks that the workers are spread over. */
  def tasks: Int = math.min(workers, slots)

  def size: FitSize = FitSize(plan.epochs, workers, plan.candidate)
}

private[train] object SizedPlan {
  def of(plan: FitPlan, context: SparkContext): SizedPlan = {
    val slots = Slots.of(context, plan.requestedWorkers)
    SizedPlan(plan, slots, plan.workers(slots))
  }
}

/** The driver's side of a fit while it is open: its parameter server, shards, checkpoints, and what its workers get. */
private[train] final class OpenFit private (
    context: SparkContext,
    val sized: SizedPlan,
    identity: FitIdentity,
    module: SentModule,
    val shards: Seq[ShardServer],
    val server: NativeServer,
    checkpoints: Checkpoints
) extends AutoCloseable {

  /** What a task trains of it. */
  def job: WorkerJob = {
    val port = status.port
    val common = sized.plan.worker(identity, sized.workers, port, context.getConf, shards)
    new WorkerJob(common, module, sized.workers, sized.plan.candidate)
  }

  /** Closes its servers. */
  override def close(): Unit = server.close()

  def status: ServerStatus = ServerStatus.parseStatus(server.status())

  def checkpointWriter(): CheckpointWriter = checkpoints.writer(server)

  /** The weights, and what happened.
    *
    * @param reports
    *   those of its tasks
    * @param seconds
    *   how long it trained
    * @param decisions
    *   what was chosen for it, a sentence each
    */
  def result(
      reports: Seq[TaskReport],
      seconds: Double,
      decisions: Seq[String]
  ): TrainedNetwork = {
    val last = status
    if (last.rowsTrained == 0) {
      throw new UntrainedModelException("the DataFrame has no rows, so nothing was trained")
    }
    val kept = ServerStatus.parseSummary(server.summary())
    val summary = TrainingSummary.of(
      last,
      kept,
      reports,
      sized.workers,
      seconds,
      sized.plan.decisions(sized.workers, sized.slots) ++ decisions
    )
    TrainedNetwork(server.weights(), summary)
  }
}

private[train] object OpenFit {

  /** Opens the fits of one job for as long as the body runs. When it has succeeded, their checkpoints are removed. */
  def all[R](context: SparkContext, fits: Seq[SizedPlan], content: DataContent)(
      body: Seq[OpenFit] => R
  ): R =
    // What may have to be waited for comes before the servers, which do not wait for their workers for ever.
    checkpointsOf(context, fits, content) { checkpoints =>
      val result = modulesOf(context, fits.map(_.plan.module).distinct) { modules =>
        opened(context, fits.zip(checkpoints), modules)(body)
      }
      checkpoints.foreach(_.complete())
      result
    }

  private def checkpointsOf[R](context: SparkContext, fits: Seq[SizedPlan], content: DataContent)(
      body: Seq[Checkpoints] => R
  ): R = Closing.all(fits)(fit => Checkpoints.of(context, fit.plan, fit.workers, content))(body)

  /** Sends each of the fits' modules once. */
  private def modulesOf[R](context: SparkContext, modules: Seq[Option[Archive]])(
      body: Map[Option[Archive], SentModule] => R
  ): R =
    Closing.all(modules)(SentModule.of(context, _))(sent => body(modules.zip(sent).toMap))

  private def opened[R](
      context: SparkContext,
      fits: Seq[(SizedPlan, Checkpoints)],
      modules: Map[Option[Archive], SentModule]
  )(body: Seq[OpenFit] => R): R =
    Closing.all(fits) { case (sized, checkpoints) =>
      open(context, sized, checkpoints, modules(sized.plan.module))
    }(body)

  private def open(
      context: SparkContext,
      sized: SizedPlan,
      checkpoints: Checkpoints,
      module: SentModule
  ): OpenFit = {
    val SizedPlan(plan, slots, workers) = sized
    val identity = FitIdentity.random()
    FitJob.log.info(
      plan.named(s"Fit ${identity.fit}: $workers workers in ${sized.tasks} tasks on $slots slots")
    )
    val shards = ShardServers.open(context, plan, identity, workers, module)
    val specification = plan.server(identity, workers, context.getConf, shards)
    val server = checkpoints.open(specification)
    new OpenFit(context, sized, identity, module, shards, server, checkpoints)
  }
}
