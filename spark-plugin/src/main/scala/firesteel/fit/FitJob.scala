package firesteel.fit

import java.util.concurrent.TimeoutException

import scala.annotation.tailrec
import scala.concurrent.Await
import scala.concurrent.duration.DurationInt
import scala.util.Try

import firesteel.bridge._
import firesteel.checkpoint.{CheckpointWriter, Checkpoints}
import firesteel.cluster.{FitSlots, Machine, ShardListener, Slots}
import firesteel.data.{PartitionReader, PreparedJob}
import firesteel.plugin.{Configuration, NativeSetup}
import firesteel.summary.{ServerStatus, TrainingSummary}
import firesteel.util.Resources
import org.apache.spark.sql.DataFrame
import org.apache.spark.{FutureAction, SparkContext}
import org.slf4j.LoggerFactory

/** The result of a fit.
  *
  * @param failure
  *   the cause, if this candidate of a search has diverged; all weights are 0 then
  */
private[firesteel] final case class TrainedNetwork(
    weights: Array[Byte],
    summary: TrainingSummary,
    failure: Option[RuntimeException] = None
)

/** The Spark job of one fit, or of several over the same rows: its tasks are the workers. */
private[firesteel] object FitJob {
  private[firesteel] val log = LoggerFactory.getLogger("firesteel.fit.FitJob")
  private val Poll = 200.millis
  private val EndMillis = 10000L

  /** Trains, and returns when the server is closed and no task runs any more.
    *
    * @throws firesteel.bridge.UntrainedModelException
    *   when nothing was trained; the other failures of native code come as the exception of their kind as well
    * @throws org.apache.spark.SparkException
    *   when Spark failed or the job was cancelled
    */
  def run(df: DataFrame, plan: FitPlan): TrainedNetwork =
    train(df, Seq(SizedPlan.of(plan, prepare(df)))).head

  /** Trains the candidates of a search, at the same time where possible. A candidate that diverges ends alone, with its
    * failure; any other failure ends all candidates.
    *
    * @throws java.lang.RuntimeException
    *   as [[run]]
    */
  def runAll(df: DataFrame, plans: Seq[FitPlan]): Seq[TrainedNetwork] = Candidates.train(df, plans)

  /** Trains candidates as [[runAll]] does, but without a failure if all diverge: the search has more candidates. */
  def runCandidate(df: DataFrame, plans: Seq[FitPlan]): Seq[TrainedNetwork] =
    Candidates.trainAll(df, plans)

  /** Loads the native library and checks the configuration. */
  private[firesteel] def prepare(df: DataFrame): SparkContext = {
    NativeSetup.ensureLoaded()
    val context = df.sparkSession.sparkContext
    Configuration.check(context.getConf)
    context
  }

  /** Trains fits that read the same columns in the same number of tasks, all at the same time. Fits whose checkpoints
    * need other numbers of tasks, which are never larger, are trained one after the other.
    */
  private[firesteel] def train(df: DataFrame, fits: Seq[SizedPlan]): Seq[TrainedNetwork] = {
    val context = df.sparkSession.sparkContext
    val first = fits.head
    val checked = checkLimits(context, fits)
    val attainable = Slots.attainable(context.getConf, first.slots, Slots.ofExecutor(context))
    FitSlots.here.during(first.tasks, attainable, fits.exists(_.plan.inRounds)) {
      val content = new DataContent(df, first.plan.data, first.tasks)
      OpenFit.checkpoints(context, checked, content) { checkpoints =>
        val resumed = checked.zip(checkpoints).map { case (fit, own) => fit.resuming(own.workers) }
        val again = if (resumed == checked) checked else checkLimits(context, resumed)
        val open = again.zip(checkpoints)
        val trained = open
          .map(_._1.tasks)
          .distinct
          .flatMap { tasks =>
            val same = open.filter(_._1.tasks == tasks)
            same.zip(trainInOneJob(df, same))
          }
          .toMap
        open.map(trained)
      }
    }
  }

  /** Rejects fits that need more memory than there is, and adds warnings for their users. */
  private def checkLimits(context: SparkContext, fits: Seq[SizedPlan]): Seq[SizedPlan] = {
    val limits = new FitLimits(context.getConf, Slots.ofExecutor(context), Machine.here)
    val warnings = limits.check(fits.map(fit => fit -> Footprint.of(fit.plan, fit.workers)))
    warnings.foreach(log.warn(_))
    fits.map(_.copy(warnings = warnings))
  }

  /** Trains fits in one job. */
  private def trainInOneJob(
      df: DataFrame,
      fits: Seq[(SizedPlan, Checkpoints)]
  ): Seq[TrainedNetwork] = {
    val sized = fits.map(_._1)
    val SizedPlan(plan, slots, _, _, _) = sized.head
    val tasks = sized.head.tasks
    val context = df.sparkSession.sparkContext
    OpenFit.all(context, fits) { opened =>
      val task = new WorkerTask(opened.map(_.job), tasks)
      val job = PartitionReader.runTasks(df, plan.data, tasks)(task)
      Resources.useAll(opened)(_.checkpointWriter()) { checkpoints =>
        val progress = progressOf(sized, context)
        val trained = new Run(context, opened, job, slots, progress, checkpoints).await()
        progress.complete(trained.map(_.summary))
        trained
      }
    }
  }

  private def progressOf(fits: Seq[SizedPlan], context: SparkContext): Progress = {
    val shown =
      fits.exists(_.plan.showProgress.getOrElse(Configuration.Progress.get(context.getConf)))
    val sizes = fits.map(_.size)
    val form = if (shown) ProgressLine.onConsole(sizes) else new LoggedProgress(log, sizes)
    new CombinedProgress(form +: ProgressEvents.of(context, fits.map(_.reported)).toSeq)
  }

  /** The job, from its submission to the end of its last task. */
  private final class Run(
      context: SparkContext,
      fits: Seq[OpenFit],
      job: PreparedJob[Seq[Option[String]]],
      slots: Int,
      progress: Progress,
      checkpoints: Seq[CheckpointWriter]
  ) {
    import job.{rdd, tasks}

    private val listener = new FitListener(
      rdd.id,
      (partition, attempt) => tell(fits)(_.attemptEnded(partition, attempt))
    )
    private val losses =
      fits.map(fit => new ShardListener(fit.shards, reason => tell(Seq(fit))(_.shardLost(reason))))
    private val startTimeout = Configuration.StartTimeout.get(context.getConf)
    private val warned = Array.fill(fits.size)(0)
    private val finished = Array.fill(fits.size)(Option.empty[Double])
    private var warnedOfStart = false
    private var last = statuses
    private val start = System.nanoTime()

    /** Waits for the job and returns the result of each fit. */
    def await(): Seq[TrainedNetwork] = {
      context.addSparkListener(listener)
      losses.foreach(context.addSparkListener(_))
      val reports =
        try {
          // runJob would block this thread, which watches the fit. The job has this thread's group, tags and pool.
          val action = rdd.collectAsync()
          try watch(action)
          catch {
            case error: Throwable =>
              action.cancel()
              if (!context.isStopped && !listener.awaitNoneRunning(EndMillis)) {
                log.warn("Tasks of a failed fit are still running; Spark was asked to kill them")
              }
              throw failure.getOrElse(nativeCause(error))
          } finally progress.finish(last)
        } finally {
          context.removeSparkListener(listener)
          losses.foreach(context.removeSparkListener(_))
        }
      val end = seconds
      fits.indices.map { fit =>
        val own = reports.flatMap(task => task(fit)).map(ServerStatus.parseReport)
        val trained = finished(fit).filter(_ => fits.size > 1).getOrElse(end)
        fits(fit).result(own, trained, job.decisions)
      }
    }

    private def seconds: Double = (System.nanoTime() - start).toDouble / 1e9

    @tailrec
    private def watch(
        action: FutureAction[Seq[Seq[Option[String]]]]
    ): Seq[Seq[Option[String]]] = {
      val ended =
        try {
          Await.ready(action, Poll)
          true
        } catch { case _: TimeoutException => false }
      last = statuses
      report()
      failureOf(last).foreach(throw _)
      if (ended) {
        Await.result(action, Poll)
      } else {
        checkpoints.zip(last).foreach { case (writer, status) => writer.update(status) }
        checkStart()
        watch(action)
      }
    }

    private def report(): Unit = {
      progress.update(last)
      for ((status, fit) <- last.zipWithIndex) {
        val plan = fits(fit).sized
        status.warnings.drop(warned(fit)).foreach(warning => log.warn(plan.plan.withName(warning)))
        warned(fit) = status.warnings.size
        if (finished(fit).isEmpty && status.isFinished(plan.workers)) finished(fit) = Some(seconds)
      }
    }

    /** Warns once if workers are still waiting to start: with an asynchronous strategy those that have started train
      * meanwhile.
      */
    private def checkStart(): Unit =
      if (!warnedOfStart) listener.submitted.foreach { since =>
        val waited = (System.nanoTime() - since) / 1000000L
        val started = listener.startedTasks
        if (started < tasks && waited > startTimeout) {
          warnedOfStart = true
          log.warn(
            s"only $started of $tasks tasks have started after $waited ms: the application had $slots slots when the " +
              "fit began, and other jobs may use some. The other tasks start when slots become free"
          )
        }
      }

    /** Tells the servers of fits of an event. The plugin of a stopped context closes them, while events still arrive. */
    private def tell(fits: Seq[OpenFit])(event: NativeServer => Unit): Unit =
      if (!context.isStopped) fits.foreach(fit => event(fit.server))

    private def statuses: Seq[ServerStatus] = fits.map(_.status)

    /** The reason for which the job must fail, if a server knows it; a stopped context may have closed the servers. */
    private def failure: Option[RuntimeException] = failureOf(Try(statuses).getOrElse(last))

    private def failureOf(statuses: Seq[ServerStatus]): Option[RuntimeException] =
      statuses
        .zip(fits)
        .flatMap { case (status, fit) =>
          // A candidate that diverges ends alone.
          fit.failureOf(status).filterNot(_ => fit.hasDiverged(status))
        }
        .headOption
  }

  /** Returns the native failure inside a SparkException, if there is one. */
  private[firesteel] def nativeCause(error: Throwable): Throwable =
    Iterator
      .iterate(error)(_.getCause)
      .takeWhile(_ != null)
      .take(64)
      .collectFirst { case known @ (_: NativeError | _: NativeLibraryException) => known }
      .getOrElse(error)
}
