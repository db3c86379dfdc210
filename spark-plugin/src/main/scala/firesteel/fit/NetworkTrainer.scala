package firesteel.fit

import scala.collection.mutable
import scala.util.control.NonFatal

import firesteel.checkpoint.CheckpointPlan
import firesteel.cluster.ShardServers
import firesteel.data.{ColumnResolver, DataPlan, InputColumn, InputRequest, LabelColumn, SpreadRows}
import firesteel.model.FittedNetwork
import firesteel.network.{Inspection, Network, NetworkJson}
import firesteel.params.{HasNetwork, InputRequests, LossParams, Strategy, TrainingParams}
import org.apache.spark.ml.firesteel.MlPrivate
import org.apache.spark.ml.param.shared.{HasLabelCol, HasWeightCol}
import org.apache.spark.ml.param.{Param, ParamMap}
import org.apache.spark.ml.{Estimator, Model}
import org.apache.spark.sql.types.StructType
import org.apache.spark.sql.{DataFrame, Dataset}

/** The part of an estimator between its parameters and the training job.
  *
  * @tparam M
  *   the fitted model
  */
private[firesteel] trait NetworkTrainer[M <: Model[M]]
    extends Estimator[M]
    with TrainingParams
    with HasNetwork
    with HasWeightCol {

  /** Prepares a fit; fails if columns and parameters do not match. */
  protected def prepare(data: FitData): PreparedFit[M]

  override def copy(extra: ParamMap): NetworkTrainer[M]

  /** Fits a model. Within one of Spark's searches, by itself or as a stage of a `Pipeline`, a fit that diverges returns a
    * model that predicts the same for every row, as for several maps.
    */
  override def fit(dataset: Dataset[_]): M =
    if (NetworkTrainer.isSearching) fitCandidate(dataset)
    else {
      transformSchema(dataset.schema, logging = true)
      withParent(trainOne(dataset))
    }

  /** Fits a model with a map, which has precedence over the parameters of this estimator. Within one of Spark's searches, a
    * fit that diverges returns a model that predicts the same for every row.
    */
  override def fit(dataset: Dataset[_], paramMap: ParamMap): M =
    if (NetworkTrainer.isSearching) fitAll(dataset, Seq(paramMap), FitJob.runCandidate).head
    else super.fit(dataset, paramMap)

  /** Fits one candidate of a search with the parameters of this estimator. */
  private[firesteel] final def fitCandidate(dataset: Dataset[_]): M =
    fitAll(dataset, Seq(ParamMap.empty), FitJob.runCandidate).head

  /** Fits a model for each map, which has precedence over the parameters of this estimator.
    *
    * Candidates with the same columns and the same number of tasks train in one job, at the same time: the data is read once
    * and is in memory once. `spark.firesteel.candidates.memory` bounds their number. A candidate that diverges ends alone:
    * all weights of its model are 0, and its summary's `stopped` is `diverged`. If all diverge, or one fails for another
    * reason, the first failure fails the search.
    */
  override def fit(dataset: Dataset[_], paramMaps: Seq[ParamMap]): Seq[M] =
    fitAll(dataset, paramMaps, FitJob.runAll)

  private def fitAll(
      dataset: Dataset[_],
      paramMaps: Seq[ParamMap],
      run: (DataFrame, Seq[FitPlan]) => Seq[TrainedNetwork]
  ): Seq[M] = {
    val candidates = paramMaps.map(copy(_))
    val names = paramMaps.zipWithIndex.map { case (map, index) =>
      if (map.size == 0) s"a candidate of a search ($uid)"
      else s"candidate ${index + 1} of ${paramMaps.size} (${NetworkTrainer.text(map)})"
    }
    MlPrivate.instrumented(this, loggedParams) {
      val data = new FitData(dataset.toDF())
      val prepared = candidates.zip(names).map { case (candidate, name) =>
        NetworkTrainer.withCandidateName(name) {
          candidate.transformSchema(dataset.schema, logging = true)
          candidate.prepare(data)
        }
      }
      val plans =
        prepared.zip(names).map { case (one, name) => one.plan.copy(candidate = Some(name)) }
      run(data.df, plans).zip(prepared).zip(candidates).map { case ((trained, one), candidate) =>
        candidate.withParent(one.model(trained))
      }
    }
  }

  /** Trains one model; its parameters are not set yet. */
  protected final def trainOne(dataset: Dataset[_]): M =
    MlPrivate.instrumented(this, loggedParams) {
      val data = new FitData(dataset.toDF())
      val prepared = prepare(data)
      prepared.model(FitJob.run(data.df, prepared.plan))
    }

  private def withParent(model: M): M = copyValues(model.setParent(this))

  /** Returns a request for each input of the network. */
  private[firesteel] def inputRequests(network: Network, schema: StructType): Seq[InputRequest]

  /** The weight column, if there is one. */
  private[firesteel] final def weightColumn: Option[String] = get(weightCol).filter(_.nonEmpty)

  /** Checks the columns of a schema, without data.
    *
    * @throws java.lang.IllegalArgumentException
    *   naming the column, its type and the accepted types
    */
  protected final def checkColumns(schema: StructType, labels: Seq[LabelColumn]): Unit =
    ColumnResolver.check(
      schema,
      inputRequests(requiredNetwork, schema),
      labels,
      weightColumn,
      validationRows
    )

  /** Plans to train the network, from its own weights if it has some.
    *
    * @param objectives
    *   returns an objective for each of the network's outputs
    * @param model
    *   returns the model of the trained network
    */
  protected final def prepareNetwork(data: FitData)(objectives: Inspection => Seq[OutputObjective])(
      model: FittedNetwork => M
  ): PreparedFit[M] = {
    val network = requiredNetwork
    // The checks that need neither data nor a cluster come first.
    val _ = (optimizerSpecOf(workers = 1), strategySpec(workers = 1))
    val schema = data.df.schema
    val inputs = data.inputs(inputRequests(network, schema))
    val inspection = Inspection.of(network, inputs)
    network.initialWeights.foreach(weights => Inspection.checkWeights(network, inputs, weights))
    val targets = objectives(inspection)
    val labels = targets.map(_.label)
    ColumnResolver.check(schema, Nil, labels)
    LabelSizes.check(schema, inspection.outputs, labels)
    val columns =
      DataPlan(inputs, labels, weightColumn, validationRows, SpreadRows(getSpreadRows))
    val controls = controlSpec(getEpochs, OutputObjective.metrics(network.outputs, targets))
    val losses = targets.map(_.term)
    Inspection.check(network, columns, losses, controls)
    val plan = FitPlan(
      network = NetworkJson.specification(network),
      data = columns,
      losses = losses,
      optimizer = optimizerSpecOf,
      strategy = strategySpec(_, _),
      controls = controls,
      workers = workersOn,
      requestedWorkers = get(numWorkers),
      batchSize = batchSizeOf,
      epochs = getEpochs,
      seed = getSeed,
      shuffle = getShuffle,
      showProgress = get(showProgress),
      serverShards = ShardServers.within(getServerShards, inspection.parameters),
      checkpoint =
        get(checkpointDir).map(CheckpointPlan(_, getCheckpointSeconds, get(checkpointCommits))),
      initialWeights = network.initialWeights,
      module = network.module,
      inRounds = Inspection.inRounds(Strategy($(strategy)).name),
      parameters = inspection.parameters,
      weightBytes = inspection.weightBytes,
      workerDependentSettings = workerDependentSettings,
      decisions = strategyDecisions(_, _) :+ inspection.execution
    )
    val untrained = network.withoutWeights
    PreparedFit(
      plan,
      trained =>
        model(
          new FittedNetwork(untrained, inputs, inspection.outputs, trained.weights, trained.summary)
        )
    )
  }

  /** The network, which must be set. */
  protected final def requiredNetwork: Network =
    if (isSet(network)) getNetwork
    else throw new IllegalArgumentException(s"$uid has no network; set one with setNetwork")

  /** The parameters that a fit logs. */
  protected def loggedParams: Seq[Param[_]] =
    Seq(
      weightCol,
      strategy,
      window,
      numWorkers,
      optimizer,
      learningRate,
      batchSize,
      epochs,
      seed
    ) ++
      Seq(schedule, validationIndicatorCol, validationFraction)
}

private[firesteel] object NetworkTrainer {
  private val ShownCharacters = 40

  /** True if `CrossValidator` or `TrainValidationSplit` runs this fit. They fit each candidate by itself, and fail if
    * one fails.
    */
  private def isSearching: Boolean =
    Thread.currentThread.getStackTrace.exists(
      _.getClassName.startsWith("org.apache.spark.ml.tuning.")
    )

  /** Adds the name of a candidate to the errors of its settings. */
  private def withCandidateName[R](candidate: String)(body: => R): R =
    try body
    catch { case NonFatal(error) => throw FitPlan.withCandidateName(candidate, error) }

  /** Returns a readable text of a map: networks and other long values are shortened. */
  private def text(map: ParamMap): String =
    map.toSeq
      .map { pair =>
        val value = pair.value match {
          case items: Array[_] => items.mkString("[", ", ", "]")
          case other => other.toString
        }
        val shown =
          if (value.length <= ShownCharacters) value else value.take(ShownCharacters) + "..."
        s"${pair.param.name} = $shown"
      }
      .sorted
      .mkString(", ")
}

/** The rows that fits train on.
  *
  * @param df
  *   any batch DataFrame
  */
private[firesteel] final class FitData(val df: DataFrame) {
  private val known = mutable.Map.empty[Seq[InputRequest], Seq[InputColumn]]

  /** Returns the inputs with their shapes. One row is read, once, if the schema does not determine them. */
  def inputs(requests: Seq[InputRequest]): Seq[InputColumn] =
    known.getOrElseUpdate(requests, ColumnResolver.resolve(df, requests, Nil).inputs)
}

/** A fit that is ready to be trained.
  *
  * @param model
  *   returns the model of the trained network
  */
private[firesteel] final case class PreparedFit[M](plan: FitPlan, model: TrainedNetwork => M)

/** The base of estimators for networks with one input and one output. */
private[firesteel] trait SingleOutputTrainer[M <: Model[M]]
    extends NetworkTrainer[M]
    with InputRequests
    with HasLabelCol
    with LossParams {

  private[firesteel] override final def inputRequests(
      network: Network,
      schema: StructType
  ): Seq[InputRequest] = Seq(inputRequest(network, schema))

  override protected def loggedParams: Seq[Param[_]] =
    Seq(labelCol, featuresCol, loss) ++ super.loggedParams
}
