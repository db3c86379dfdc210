package firesteel.train

import java.util.concurrent.TimeoutException

import scala.annotation.tailrec
import scala.concurrent.Await
import scala.concurrent.duration.DurationInt
import scala.util.Try

import firesteel.bridge._
import firesteel.data.{Closing, DataRoad}
import firesteel.plugin.{Configuration, NativeSetup}
import org.apache.spark.rdd.RDD
import org.apache.spark.sql.DataFrame
import org.apache.spark.{FutureAction, SparkContext}
import org.slf4j.LoggerFactory

/** What a fit gives: the trained weights as safetensors, and what happened. */
private[firesteel] final case class TrainedNetwork(weights: Array[Byte], summary: TrainingSummary)

/** The driver's side of one fit: a parameter server, and one Spark job whose tasks are the workers. */
private[firesteel] object FitJob {
  private val log = LoggerFactory.getLogger("firesteel.train.FitJob")
  private val Poll = 200.millis
  private val EndMillis = 10000L

  /** Trains, and returns when the server is closed and no task runs any more.
    *
    * @throws firesteel.bridge.UntrainedModelException
    *   when nothing was trained; the other failures of native code come as the exception of their kind as well
    * @throws org.apache.spark.SparkException
    *   when Spark failed, or the job was cancelled
    */
  def run(df: DataFrame, plan: FitPlan): TrainedNetwork = {
    NativeSetup.ensureLoaded()
    val context = df.sparkSession.sparkContext
    Configuration.check(context.getConf)
    val slots = Slots.of(context, plan.requestedWorkers)
    val workers = plan.workers(slots)
    val tasks = math.min(workers, slots)
    val identity = FitIdentity.random()
    log.info(s"Fit ${identity.fit}: $workers workers in $tasks tasks on $slots slots")
    Closing(Checkpoints.of(df, plan, workers, tasks)) { checkpoints =>
      Closing(SentModule.of(context, plan.module)) { module =>
        val shards = ShardServers.open(context, plan, identity, workers, module)
        val spec = plan.server(identity, workers, context.getConf, shards)
        val trained = Closing(checkpoints.open(spec)) { server =>
          val port = ServerStatus.parseStatus(server.status()).port
          val task = new WorkerTask(
            plan.worker(identity, workers, port, context.getConf, shards),
            module,
            workers,
            tasks
          )
          val start = System.nanoTime()
          val rdd = DataRoad.runTasks(df, plan.data, tasks)(task).rdd
          val progress = progressOf(plan, workers, context)
          val reports = Closing(checkpoints.writer(server)) { writer =>
            new Run(context, server, shards, rdd, tasks, slots, progress, writer).await()
          }
          val seconds = (System.nanoTime() - start).toDouble / 1e9
          result(server, reports.map(ServerStatus.parseReport), workers, seconds)
        }
        checkpoints.complete()
        trained
      }
    }
  }

  private def progressOf(plan: FitPlan, workers: Int, context: SparkContext): Progress =
    if (plan.showProgress.getOrElse(Configuration.Progress.get(context.getConf))) {
      ProgressLine.onConsole(plan.epochs, workers)
    } else new LoggedProgress(log, plan.epochs, workers)

  private def result(
      server: NativeServer,
      reports: Seq[TaskReport],
      workers: Int,
      seconds: Double
  ): TrainedNetwork = {
    val status = ServerStatus.parseStatus(server.status())
    if (status.rowsTrained == 0) {
      throw new UntrainedModelException("the DataFrame has no rows, so nothing was trained")
    }
    val kept = ServerStatus.parseSummary(server.summary())
    val summary = TrainingSummary.of(status, kept, reports, workers, seconds)
    TrainedNetwork(server.weights(), summary)
  }

  /** The job, from its submission to the end of its last task. */
  private final class Run(
      context: SparkContext,
      server: NativeServer,
      shards: Seq[ShardServer],
      rdd: RDD[String],
      tasks: Int,
      slots: Int,
      progress: Progress,
      checkpoints: CheckpointWriter
  ) {
    private val listener =
      new FitListener(rdd.id, (partition, attempt) => server.attemptEnded(partition, attempt))
    private val losses = new ShardListener(shards, server)
    private val startTimeout = Configuration.StartTimeout.get(context.getConf)
    private var warned = 0
    private var warnedOfStart = false
    private var last = status

    /** Gives the reports of all tasks. */
    def await(): Seq[String] = {
      context.addSparkListener(listener)
      context.addSparkListener(losses)
      try {
        // Not runJob: this thread watches the fit meanwhile. The job has this thread's group, tags and pool.
        val action = rdd.collectAsync()
        try watch(action)
        catch {
          case error: Throwable =>
            action.cancel()
            if (!context.isStopped && !listener.awaitNoneRunning(EndMillis)) {
              log.warn("Tasks of a failed fit still run; Spark has been told to kill them")
            }
            throw failure.getOrElse(typed(error))
        } finally progress.finish(last)
      } finally {
        context.removeSparkListener(listener)
        context.removeSparkListener(losses)
      }
    }

    @tailrec
    private def watch(action: FutureAction[Seq[String]]): Seq[String] = {
      val ended =
        try {
          Await.ready(action, Poll)
          true
        } catch { case _: TimeoutException => false }
      last = status
      tell(last)
      last.failure.foreach(reason => throw NativeErrors.create(reason.code, reason.message))
      if (ended) {
        Await.result(action, Poll)
      } else {
        checkpoints.update(last)
        checkStart()
        watch(action)
      }
    }

    private def tell(now: ServerStatus): Unit = {
      progress.update(now)
      now.warnings.drop(warned).foreach(warning => log.warn(warning))
      warned = now.warnings.size
    }

    /** Says once that workers still wait: with an asynchronous strategy those that have started train meanwhile. */
    private def checkStart(): Unit =
      if (!warnedOfStart) listener.submitted.foreach { since =>
        val waited = (System.nanoTime() - since) / 1000000L
        val started = listener.startedTasks
        if (started < tasks && waited > startTimeout) {
          warnedOfStart = true
          log.warn(
            s"$started of $tasks tasks have started after $waited ms: the application had $slots slots when the fit " +
              "began, and other jobs may hold some. The others start when slots are free"
          )
        }
      }

    private def status: ServerStatus = ServerStatus.parseStatus(server.status())

    /** Why the fit must fail, if the server knows it; a stopped context may have closed the server. */
    private def failure: Option[RuntimeException] =
      Try(status).getOrElse(last).failure.map { reason =>
        NativeErrors.create(reason.code, reason.message)
      }
  }

  /** The failure inside a SparkException that has a type of its own. */
  private[train] def typed(error: Throwable): Throwable =
    Iterator
      .iterate(error)(_.getCause)
      .takeWhile(_ != null)
      .take(64)
      .collectFirst { case known @ (_: NativeError | _: NativeLibraryException) => known }
      .getOrElse(error)
}
