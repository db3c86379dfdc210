package firesteel.fit

import firesteel.bridge.{
  NativeErrors,
  NativeServer,
  TrainingDivergedException,
  UntrainedModelException
}
import firesteel.checkpoint.{CheckpointWriter, Checkpoints, FitStart}
import firesteel.cluster.{BroadcastModule, ShardServer, ShardServers, Slots}
import firesteel.network.{Inspection, TorchScriptArchive}
import firesteel.summary.{Diagnosis, ServerStatus, TaskReport, TrainingSummary}
import firesteel.util.Resources
import org.apache.spark.SparkContext

/** A fit and its part of the cluster.
  *
  * @param slots
  *   the number of slots of the application
  * @param workers
  *   the number of workers of the fit
  * @param decisions
  *   the decisions about the fit, a sentence each
  * @param warnings
  *   the warnings for the user
  */
private[firesteel] final case class SizedPlan(
    plan: FitPlan,
    slots: Int,
    workers: Int,
    decisions: Seq[String] = Nil,
    warnings: Seq[String] = Nil
) {

  /** The number of tasks of the workers. */
  def tasks: Int = math.min(workers, slots)

  def size: FitSize = FitSize(plan.epochs, workers, plan.candidate)

  /** The fit as its events describe it. */
  def reported: ReportedFit = {
    val strategy = (plan.strategy(workers, tasks) \ "name").values.toString
    ReportedFit(size, strategy, plan.data.validation.nonEmpty)
  }

  /** The decisions about the fit, by the estimator and for the cluster. */
  def choices: Seq[String] = plan.decisions(workers, slots) ++ decisions

  /** Returns the fit with as many workers as the checkpoint that it resumes, independent of the current slots. */
  def resuming(checkpoint: Option[Int]): SizedPlan =
    checkpoint.filter(_ != workers).fold(this) { before =>
      val decision =
        s"the fit resumes with $before workers, the number in its checkpoint; for the $slots slots that the cluster has " +
          s"now, it would have had $workers"
      copy(workers = before, decisions = decisions :+ decision)
    }
}

private[firesteel] object SizedPlan {
  def of(plan: FitPlan, context: SparkContext): SizedPlan = {
    val slots = Slots.forFit(context, plan.requestedWorkers)
    val workers = plan.workers(slots)
    val sized = SizedPlan(plan, slots, workers)
    if (plan.requestedWorkers.nonEmpty || workers == 1 || !Slots.isDynamic(context.getConf)) sized
    else {
      sized.copy(decisions =
        Seq(s"numWorkers is $workers, for the $slots slots that dynamic allocation may provide")
      )
    }
  }
}

/** The driver's side of a running fit: its parameter server, shards, checkpoints, and the job of its workers. */
private[firesteel] final class OpenFit private (
    context: SparkContext,
    val sized: SizedPlan,
    identity: FitIdentity,
    module: BroadcastModule,
    val shards: Seq[ShardServer],
    val server: NativeServer,
    checkpoints: Checkpoints
) extends AutoCloseable {

  /** The part of the fit that a task trains. */
  def job: WorkerJob = {
    val port = status.port
    val common =
      sized.plan.worker(identity, sized.workers, sized.tasks, port, context.getConf, shards)
    new WorkerJob(common, module, sized.workers, sized.plan.candidate)
  }

  /** Closes its servers. */
  override def close(): Unit = server.close()

  def status: ServerStatus = ServerStatus.parseStatus(server.status())

  /** Returns the failure of the fit, if it has failed. */
  def failureOf(status: ServerStatus): Option[RuntimeException] =
    status.failure.map(failed =>
      NativeErrors.create(failed.code, sized.plan.withName(failed.message))
    )

  /** Returns true if the fit is a candidate of a search that has diverged. The other candidates go on without it. */
  def hasDiverged(status: ServerStatus): Boolean =
    sized.plan.candidate.nonEmpty &&
      failureOf(status).exists(_.isInstanceOf[TrainingDivergedException])

  def checkpointWriter(): CheckpointWriter = checkpoints.writer(server)

  /** Returns the weights and the summary.
    *
    * @param reports
    *   the reports of its tasks
    * @param seconds
    *   the training time
    * @param decisions
    *   the decisions about the fit, a sentence each
    */
  def result(
      reports: Seq[TaskReport],
      seconds: Double,
      decisions: Seq[String]
  ): TrainedNetwork = {
    val last = status
    if (hasDiverged(last)) diverged(last, reports, seconds, decisions)
    else trained(last, reports, seconds, decisions)
  }

  private def trained(
      last: ServerStatus,
      reports: Seq[TaskReport],
      seconds: Double,
      decisions: Seq[String]
  ): TrainedNetwork = {
    if (last.rowsTrained == 0) {
      throw new UntrainedModelException("the DataFrame has no rows, so nothing was trained")
    }
    val summary = summarize(last, reports, seconds, decisions)
    val found = Diagnosis.warnings(summary.epochs, reports)
    found.foreach(warning => FitJob.log.warn(sized.plan.withName(warning)))
    TrainedNetwork(server.weights(), summary.copy(warnings = summary.warnings ++ found))
  }

  /** Returns the result of a diverged candidate: weights that predict the same for every row. */
  private def diverged(
      last: ServerStatus,
      reports: Seq[TaskReport],
      seconds: Double,
      decisions: Seq[String]
  ): TrainedNetwork = {
    val plan = sized.plan
    val failure = failureOf(last)
    val warning =
      s"the training diverged: ${last.failure.fold("")(_.message)}. All weights of the model are 0, so it predicts " +
        "the same for every row"
    FitJob.log.warn(plan.withName(warning))
    val summary = summarize(last, reports, seconds, decisions)
    val weights = Inspection.zeroWeights(plan.network, plan.data.inputs, plan.moduleBytes)
    val diverged = summary.copy(warnings = summary.warnings :+ warning, stopped = Some("diverged"))
    TrainedNetwork(weights, diverged, failure)
  }

  private def summarize(
      last: ServerStatus,
      reports: Seq[TaskReport],
      seconds: Double,
      decisions: Seq[String]
  ): TrainingSummary = TrainingSummary.of(
    last,
    ServerStatus.parseSummary(server.summary()),
    reports,
    sized.workers,
    seconds,
    sized.warnings,
    sized.choices ++ decisions
  )
}

private[firesteel] object OpenFit {

  /** Opens the checkpoints of fits for as long as the body runs; removes them when it has succeeded. The checkpoints'
    * locks may have to be waited for, so they come before the servers, which limit the time to wait for their workers.
    */
  def checkpoints[R](context: SparkContext, fits: Seq[SizedPlan], content: DataContent)(
      body: Seq[Checkpoints] => R
  ): R =
    Resources.useAll(fits)(fit => openCheckpoints(context, fit.plan, content)) { checkpoints =>
      val result = body(checkpoints)
      checkpoints.foreach(_.complete())
      result
    }

  private def openCheckpoints(
      context: SparkContext,
      plan: FitPlan,
      content: DataContent
  ): Checkpoints = {
    require(
      plan.checkpoint.isEmpty || plan.serverShards == 1,
      s"checkpointDir is set and serverShards is ${plan.serverShards}, but checkpoints only hold the state of the " +
        "driver's server: clear checkpointDir, or set serverShards to 1"
    )
    val start = FitStart(plan.module, plan.initialWeights)
    Checkpoints.open(context, plan.checkpoint, start)(FitFingerprint.of(plan, content))
  }

  /** Opens the fits of one job for as long as the body runs. */
  def all[R](context: SparkContext, fits: Seq[(SizedPlan, Checkpoints)])(
      body: Seq[OpenFit] => R
  ): R =
    modulesOf(context, fits.map(_._1.plan.module).distinct) { modules =>
      opened(context, fits, modules)(body)
    }

  /** Broadcasts each of the fits' modules once. */
  private def modulesOf[R](context: SparkContext, modules: Seq[Option[TorchScriptArchive]])(
      body: Map[Option[TorchScriptArchive], BroadcastModule] => R
  ): R =
    Resources.useAll(modules)(BroadcastModule.broadcast(context, _))(sent =>
      body(modules.zip(sent).toMap)
    )

  private def opened[R](
      context: SparkContext,
      fits: Seq[(SizedPlan, Checkpoints)],
      modules: Map[Option[TorchScriptArchive], BroadcastModule]
  )(body: Seq[OpenFit] => R): R =
    Resources.useAll(fits) { case (sized, checkpoints) =>
      open(context, sized, checkpoints, modules(sized.plan.module))
    }(body)

  private def open(
      context: SparkContext,
      sized: SizedPlan,
      checkpoints: Checkpoints,
      module: BroadcastModule
  ): OpenFit = {
    val SizedPlan(plan, slots, workers, _, _) = sized
    val identity = FitIdentity.random()
    FitJob.log.info(
      plan.withName(
        s"Fit ${identity.fit}: $workers workers in ${sized.tasks} tasks on $slots slots"
      )
    )
    val shards = ShardServers.open(context, identity.fit, plan.serverShards, module) { number =>
      plan.shard(identity, number, workers, sized.tasks, context.getConf)
    }
    val specification = plan.server(identity, workers, sized.tasks, context.getConf, shards)
    val server = checkpoints.open(specification)
    new OpenFit(context, sized, identity, module, shards, server, checkpoints)
  }
}
