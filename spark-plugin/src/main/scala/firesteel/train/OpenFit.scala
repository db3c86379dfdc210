package firesteel.train

import firesteel.bridge.{NativeServer, UntrainedModelException}
import firesteel.data.Closing
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
) {

  /** What a task trains of it. */
  def job: WorkerJob = {
    val port = status.port
    val common = sized.plan.worker(identity, sized.workers, port, context.getConf, shards)
    new WorkerJob(common, module, sized.workers)
  }

  def status: ServerStatus = ServerStatus.parseStatus(server.status())

  def checkpointWriter(): CheckpointWriter = checkpoints.writer(server)

  /** The weights, and what happened.
    *
    * @param reports
    *   those of its tasks
    * @param seconds
    *   how long it trained
    */
  def result(reports: Seq[TaskReport], seconds: Double): TrainedNetwork = {
    val last = status
    if (last.rowsTrained == 0) {
      throw new UntrainedModelException("the DataFrame has no rows, so nothing was trained")
    }
    val kept = ServerStatus.parseSummary(server.summary())
    val summary = TrainingSummary.of(last, kept, reports, sized.workers, seconds)
    TrainedNetwork(server.weights(), summary)
  }
}

private[train] object OpenFit {

  /** Opens the fits of one job for as long as the body runs. When it has succeeded, their checkpoints are removed. */
  def all[R](context: SparkContext, fits: Seq[SizedPlan], content: DataContent)(
      body: Seq[OpenFit] => R
  ): R = fits match {
    case first +: rest =>
      one(context, first, content) { opened =>
        all(context, rest, content)(others => body(opened +: others))
      }
    case _ => body(Nil)
  }

  private def one[R](context: SparkContext, sized: SizedPlan, content: DataContent)(
      body: OpenFit => R
  ): R = {
    val SizedPlan(plan, slots, workers) = sized
    val identity = FitIdentity.random()
    FitJob.log.info(
      plan.named(s"Fit ${identity.fit}: $workers workers in ${sized.tasks} tasks on $slots slots")
    )
    Closing(Checkpoints.of(context, plan, workers, content)) { checkpoints =>
      val result = Closing(SentModule.of(context, plan.module)) { module =>
        val shards = ShardServers.open(context, plan, identity, workers, module)
        val specification = plan.server(identity, workers, context.getConf, shards)
        Closing(checkpoints.open(specification)) { server =>
          body(new OpenFit(context, sized, identity, module, shards, server, checkpoints))
        }
      }
      checkpoints.complete()
      result
    }
  }
}
