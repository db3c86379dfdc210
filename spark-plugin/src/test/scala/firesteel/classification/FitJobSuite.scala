package firesteel.classification

import java.util.concurrent.{CountDownLatch, TimeUnit}

import scala.concurrent.ExecutionContext.Implicits.global
import scala.concurrent.duration.DurationInt
import scala.concurrent.{Await, Future}

import firesteel.data.LocalSpark
import org.apache.spark.scheduler.{SparkListener, SparkListenerTaskStart}
import org.apache.spark.sql.{DataFrame, SparkSession}
import org.apache.spark.{SparkContext, SparkEnv, SparkException}
import org.scalatest.concurrent.Eventually
import org.scalatest.funsuite.AnyFunSuite
import org.scalatest.time.{Seconds, Span}

/** A fit beside the rest of its application: its cluster, its job groups, its end. */
final class FitJobSuite extends AnyFunSuite with LocalSpark with Eventually {
  override implicit val patienceConfig: PatienceConfig = PatienceConfig(Span(30, Seconds))

  private def context: SparkContext = spark.sparkContext

  private lazy val data: DataFrame = Blobs.frame(spark)

  private def endless: NetworkClassifier = Blobs.classifier().setEpochs(10000000)

  /** True while workers run; the system keeps 15 characters of a thread's name. */
  private def training: Boolean = ProcessState.now().threads.exists(_.startsWith("firesteel-cance"))

  /** Calls back when a task starts. */
  private def withTaskStarts(onStart: SparkListenerTaskStart => Unit)(body: => Any): Unit = {
    val listener = new SparkListener {
      override def onTaskStart(event: SparkListenerTaskStart): Unit = onStart(event)
    }
    context.addSparkListener(listener)
    try {
      body
      ()
    } finally context.removeSparkListener(listener)
  }

  test("cancelling the user's job group ends the fit and leaves nothing behind") {
    Blobs.classifier().fit(data)
    val before = ProcessState.now()
    val fit = Future {
      context.setJobGroup("mine", "a fit", interruptOnCancel = false)
      try intercept[SparkException](endless.fit(data))
      finally context.clearJobGroup()
    }
    eventually(assert(ProcessState.now().ports.size > before.ports.size))
    eventually(assert(training))
    Thread.sleep(1000)
    context.cancelJobGroup("mine")
    val error = Await.result(fit, 30.seconds)
    assert(error.getMessage.contains("cancelled"), error.getMessage)
    val after = ProcessState.now()
    assert(after === before)
  }

  test("an interrupt of the thread that fits ends the fit and leaves nothing behind") {
    val before = ProcessState.now()
    @volatile var caught: Option[Throwable] = None
    val thread = new Thread(() =>
      try {
        endless.fit(data)
        ()
      } catch { case error: Throwable => caught = Some(error) }
    )
    thread.start()
    eventually(assert(training))
    thread.interrupt()
    thread.join(30000)
    assert(caught.exists(_.isInstanceOf[InterruptedException]), caught.toString)
    assert(ProcessState.now() === before)
  }

  test("a fit that fails leaves nothing behind") {
    val before = ProcessState.now()
    intercept[RuntimeException] {
      Blobs.classifier().setOptimizer("sgd").setLearningRate(1e30).setLoss("mse_loss").fit(data)
    }
    assert(ProcessState.now() === before)
  }

  test("a killed task is tried again, and every row is trained once in an epoch") {
    val epochs = 1000
    val killed = new CountDownLatch(1)
    withTaskStarts { start =>
      if (start.taskInfo.index == 1 && start.taskInfo.attemptNumber == 0 && killed.getCount == 1) {
        Future {
          Thread.sleep(400)
          if (context.killTaskAttempt(start.taskInfo.taskId, interruptThread = false, "a test")) {
            killed.countDown()
          }
        }
        ()
      }
    } {
      val model = Blobs.slowClassifier().setEpochs(epochs).fit(data)
      val summary = model.summary
      assert(killed.await(1, TimeUnit.SECONDS), "the fit was over before its task was killed")
      assert(summary.ledger.map(_.rows).sum === epochs * 240L)
      assert(summary.ledger.flatMap(_.spans.map(_.attempt)).distinct.size === 3)
      assert(summary.ledger.forall(_.supersededRows == 0))
      val undisturbed = Blobs.slowClassifier().setEpochs(epochs).fit(data)
      val lost = Blobs.accuracy(undisturbed.transform(data)) - Blobs.accuracy(model.transform(data))
      assert(lost <= 0.005)
    }
  }

  test("the user's job group and description stay as they are") {
    context.setJobGroup("mine", "my jobs")
    try {
      Blobs.classifier().setEpochs(1).fit(data)
      assert(context.getLocalProperty("spark.jobGroup.id") === "mine")
      assert(context.getLocalProperty("spark.job.description") === "my jobs")
      assert(context.statusTracker.getJobIdsForGroup("mine").nonEmpty)
    } finally context.clearJobGroup()
  }

  test("an asynchronous fit whose tasks get no slot in time warns, waits and then trains") {
    val release = new CountDownLatch(1)
    FitJobSuite.gate = release
    val busy = Future {
      context.parallelize(1 to 2, 2).foreach(_ => FitJobSuite.gate.await())
    }
    eventually(assert(context.statusTracker.getExecutorInfos.exists(_.numRunningTasks == 2)))
    val conf = SparkEnv.get.conf
    conf.set("spark.firesteel.start.timeout", "1s")
    // Any job before the fit's own would wait for the slots as well, so: a known column, and one task over a scan.
    val known = spark.createDataFrame(Blobs.points(20)).selectExpr("label", "label as x")
    try {
      val logged = LoggedWarnings.of("firesteel.fit.FitJob") { heard =>
        val fit = Future(
          Blobs
            .classifier()
            .setStrategy("downpour")
            .setFeaturesCols(Array("x"))
            .setNumWorkers(1)
            .setEpochs(2)
            .fit(known)
        )
        eventually(assert(heard().nonEmpty))
        Thread.sleep(1500)
        assert(!fit.isCompleted)
        release.countDown()
        assert(Await.result(fit, 30.seconds).summary.rowsTrained === 2 * known.count())
      }
      val warnings = logged.filter(_.contains("0 of 1 tasks have started"))
      assert(warnings.size === 1, "said once")
      assert(warnings.head.contains("2 slots"))
    } finally {
      conf.remove("spark.firesteel.start.timeout")
      release.countDown()
    }
    Await.result(busy, 30.seconds)
  }

  test("two fits side by side do not mix") {
    def weights(seed: Long): Seq[Byte] =
      Blobs.classifier().setNumWorkers(1).setSeed(seed).fit(data).weights.toSeq
    val fits = Seq(1L, 2L).map { seed =>
      Future(weights(seed))
    }
    val together = fits.map(Await.result(_, 60.seconds))
    val alone = Seq(1L, 2L).map(weights)
    assert(together === alone)
  }

  test("a second SparkContext in the same JVM works") {
    Blobs.classifier().setEpochs(1).fit(data)
    spark.stop()
    val second =
      SparkSession.builder().master("local[2]").config("spark.ui.enabled", false).getOrCreate()
    try {
      val again = Blobs.frame(second)
      assert(Blobs.accuracy(Blobs.classifier().fit(again).transform(again)) > 0.95)
    } finally second.stop()
  }

  test("a context that is stopped in the middle of a fit ends it with Spark's own reason") {
    val third =
      SparkSession.builder().master("local[2]").config("spark.ui.enabled", false).getOrCreate()
    val fit = Future(intercept[SparkException](endless.fit(Blobs.frame(third))))
    eventually(assert(training))
    third.stop()
    val error = Await.result(fit, 30.seconds)
    assert(error.getMessage.contains("SparkContext was shut down"), error.getMessage)
    eventually(assert(!training))
  }
}

object FitJobSuite {
  @volatile private var gate: CountDownLatch = new CountDownLatch(0)
}
