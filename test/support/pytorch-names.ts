/**
 * PyTorch's public names, by the pages of its documentation (1.13), so that PYTORCH.md shows what gradc lacks. Left out are the
 * parts that are about other things than models in one process: CUDA, JIT, quantization, distributed, sparse layouts,
 * profiling.
 */
const words = (text: string): readonly string[] => text.trim().split(/\s+/);

export const pytorchNames: Readonly<Record<string, readonly string[]>> = {
  torch: words(`
    abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr adjoint all allclose amax amin aminmax angle any arange
    arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort argwhere as_strided as_tensor asin asinh atan
    atan2 atanh atleast_1d atleast_2d atleast_3d baddbmm bernoulli bincount bitwise_and bitwise_left_shift bitwise_not
    bitwise_or bitwise_right_shift bitwise_xor block_diag bmm broadcast_shapes broadcast_tensors broadcast_to bucketize
    can_cast cartesian_prod cat cdist ceil chain_matmul cholesky cholesky_inverse cholesky_solve chunk clamp clip clone
    column_stack combinations complex concat conj copysign corrcoef cos cosh count_nonzero cov cross cummax cummin cumprod
    cumsum cumulative_trapezoid deg2rad det diag diag_embed diagflat diagonal diagonal_scatter diff digamma dist div divide dot
    dsplit dstack einsum empty empty_like empty_strided eq equal erf erfc erfinv exp exp2 expm1 eye fix flatten flip fliplr
    flipud float_power floor floor_divide fmax fmin fmod frac frexp from_numpy frombuffer full full_like gather gcd ge
    get_default_dtype gradient greater greater_equal gt hamming_window hann_window heaviside histc histogram hsplit hstack hypot
    i0 igamma igammac imag index_add index_copy index_fill index_reduce index_select initial_seed inner inverse is_complex
    is_floating_point is_grad_enabled is_nonzero is_tensor isclose isfinite isin isinf isnan isneginf isposinf isreal kron
    kthvalue lcm ldexp le lerp less less_equal lgamma linspace load log log10 log1p log2 logaddexp logaddexp2 logcumsumexp
    logdet logical_and logical_not logical_or logical_xor logit logspace logsumexp lt lu lu_solve manual_seed masked_fill
    masked_scatter masked_select matmul matrix_exp matrix_power max maximum mean median meshgrid min minimum mm mode moveaxis
    movedim msort mul multinomial multiply mv mvlgamma nan_to_num nanmean nanmedian nanquantile nansum narrow narrow_copy ne
    neg negative nextafter no_grad enable_grad nonzero norm normal not_equal numel ones ones_like outer permute
    pinverse poisson polar polygamma positive pow prod promote_types qr quantile rad2deg rand rand_like randint randint_like
    randn randn_like randperm range ravel real reciprocal remainder renorm repeat_interleave reshape result_type roll rot90
    round row_stack rsqrt save scatter scatter_add scatter_reduce searchsorted seed select select_scatter set_default_dtype
    set_grad_enabled sgn sigmoid sign signbit sin sinc sinh slice_scatter slogdet softmax sort split sqrt square squeeze stack
    std std_mean stft istft sub subtract sum svd swapaxes swapdims t take take_along_dim tan tanh tensor tensor_split tensordot
    tile topk trace transpose trapezoid trapz triangular_solve tril tril_indices triu triu_indices true_divide trunc unbind
    unique unique_consecutive unsqueeze vander var var_mean vdot view_as_complex view_as_real vsplit vstack where xlogy zeros
    zeros_like`),
  'torch.linalg': words(`
    cholesky cholesky_ex cond cross det diagonal eig eigh eigvals eigvalsh householder_product inv inv_ex lstsq lu lu_factor
    matmul matrix_exp matrix_norm matrix_power matrix_rank multi_dot norm pinv qr slogdet solve solve_triangular svd svdvals
    tensorinv tensorsolve vander vector_norm vecdot`),
  'torch.special': words(`
    airy_ai bessel_j0 bessel_j1 digamma entr erf erfc erfcx erfinv exp2 expit expm1 gammainc gammaincc gammaln i0 i0e i1 i1e
    log1p log_ndtr log_softmax logit logsumexp multigammaln ndtr ndtri polygamma psi round sinc softmax xlog1py xlogy zeta`),
  'torch.fft': words(`
    fft ifft fft2 ifft2 fftn ifftn rfft irfft rfft2 irfft2 rfftn irfftn hfft ihfft fftfreq rfftfreq fftshift ifftshift`),
  'nn.functional': words(`
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
    affine_grid alpha_dropout avg_pool1d avg_pool2d avg_pool3d batch_norm bilinear binary_cross_entropy
    binary_cross_entropy_with_logits celu conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
    cosine_embedding_loss cosine_similarity cross_entropy ctc_loss dropout dropout1d dropout2d dropout3d elu embedding
    embedding_bag feature_alpha_dropout fold fractional_max_pool2d fractional_max_pool3d gaussian_nll_loss gelu glu grid_sample
    group_norm gumbel_softmax hardshrink hardsigmoid hardswish hardtanh hinge_embedding_loss huber_loss instance_norm
    interpolate kl_div l1_loss layer_norm leaky_relu linear local_response_norm log_softmax logsigmoid lp_pool1d lp_pool2d
    margin_ranking_loss max_pool1d max_pool2d max_pool3d max_unpool1d max_unpool2d max_unpool3d mish mse_loss
    multi_head_attention_forward multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss nll_loss normalize
    one_hot pad pairwise_distance pdist pixel_shuffle pixel_unshuffle poisson_nll_loss prelu relu relu6 rrelu selu sigmoid silu
    smooth_l1_loss soft_margin_loss softmax softmin softplus softshrink softsign tanh tanhshrink threshold triplet_margin_loss
    triplet_margin_with_distance_loss unfold upsample scaled_dot_product_attention`),
  nn: words(`
    AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveLogSoftmaxWithLoss AdaptiveMaxPool1d AdaptiveMaxPool2d
    AdaptiveMaxPool3d AlphaDropout AvgPool1d AvgPool2d AvgPool3d BCELoss BCEWithLogitsLoss BatchNorm1d BatchNorm2d BatchNorm3d
    Bilinear CELU CTCLoss ChannelShuffle ConstantPad1d ConstantPad2d ConstantPad3d Conv1d Conv2d Conv3d ConvTranspose1d
    ConvTranspose2d ConvTranspose3d CosineEmbeddingLoss CosineSimilarity CrossEntropyLoss Dropout Dropout1d Dropout2d Dropout3d
    ELU Embedding EmbeddingBag FeatureAlphaDropout Flatten Fold FractionalMaxPool2d FractionalMaxPool3d GELU GLU GRU GRUCell
    GaussianNLLLoss GroupNorm Hardshrink Hardsigmoid Hardswish Hardtanh HingeEmbeddingLoss HuberLoss Identity InstanceNorm1d
    InstanceNorm2d InstanceNorm3d KLDivLoss L1Loss LPPool1d LPPool2d LSTM LSTMCell LayerNorm LazyBatchNorm1d LazyBatchNorm2d
    LazyBatchNorm3d LazyConv1d LazyConv2d LazyConv3d LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d
    LazyInstanceNorm1d LazyInstanceNorm2d LazyInstanceNorm3d LazyLinear LeakyReLU Linear LocalResponseNorm LogSigmoid LogSoftmax MSELoss MarginRankingLoss
    MaxPool1d MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d Mish Module ModuleDict ModuleList MultiLabelMarginLoss
    MultiLabelSoftMarginLoss MultiMarginLoss MultiheadAttention NLLLoss PReLU PairwiseDistance Parameter ParameterDict
    ParameterList PixelShuffle PixelUnshuffle PoissonNLLLoss RNN RNNCell RReLU ReLU ReLU6 ReflectionPad1d ReflectionPad2d
    ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d SELU Sequential SiLU Sigmoid SmoothL1Loss SoftMarginLoss
    Softmax Softmax2d Softmin Softplus Softshrink Softsign Tanh Tanhshrink Threshold Transformer TransformerDecoder
    TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer TripletMarginLoss TripletMarginWithDistanceLoss
    Unflatten Unfold Upsample UpsamplingBilinear2d UpsamplingNearest2d ZeroPad2d`),
  'nn.init': words(`
    calculate_gain constant_ dirac_ eye_ kaiming_normal_ kaiming_uniform_ normal_ ones_ orthogonal_ sparse_ trunc_normal_
    uniform_ xavier_normal_ xavier_uniform_ zeros_`),
  'nn.utils': words(`
    clip_grad_norm_ clip_grad_value_ parameters_to_vector vector_to_parameters weight_norm remove_weight_norm spectral_norm
    remove_spectral_norm fuse_conv_bn_eval`),
  'nn.utils.rnn': words(
    'PackedSequence pack_padded_sequence pad_packed_sequence pack_sequence pad_sequence unpack_sequence unpad_sequence',
  ),
  'nn.utils.parametrize': words(`
    cached is_parametrized register_parametrization remove_parametrizations transfer_parametrizations_and_params
    type_before_parametrizations ParametrizationList`),
  'nn.utils.parametrizations': words('orthogonal spectral_norm'),
  'torch.optim': words('ASGD Adadelta Adagrad Adam AdamW Adamax LBFGS NAdam RAdam RMSprop Rprop SGD SparseAdam'),
  'torch.optim.lr_scheduler': words(`
    ChainedScheduler ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts CyclicLR ExponentialLR LambdaLR LinearLR
    MultiStepLR MultiplicativeLR OneCycleLR PolynomialLR ReduceLROnPlateau SequentialLR StepLR`),
  'torch.optim.swa_utils': words('AveragedModel SWALR update_bn'),
  'torch.autograd': words('Function backward grad detect_anomaly set_detect_anomaly gradcheck gradgradcheck'),
  'torch.autograd.functional': words('hessian hvp jacobian jvp vhp vjp'),
  'torch.distributions': words(`
    Bernoulli Beta Binomial Categorical Cauchy Chi2 ContinuousBernoulli Dirichlet Exponential FisherSnedecor Gamma Geometric
    Gumbel HalfCauchy HalfNormal Independent Kumaraswamy LKJCholesky Laplace LogNormal LogisticNormal
    LowRankMultivariateNormal MixtureSameFamily Multinomial MultivariateNormal NegativeBinomial Normal OneHotCategorical
    OneHotCategoricalStraightThrough Pareto Poisson RelaxedBernoulli RelaxedOneHotCategorical StudentT
    TransformedDistribution Uniform VonMises Weibull Wishart kl_divergence register_kl`),
  'torch.distributions.transforms': words(`
    AbsTransform AffineTransform CatTransform ComposeTransform CorrCholeskyTransform CumulativeDistributionTransform
    ExpTransform IndependentTransform LowerCholeskyTransform PowerTransform ReshapeTransform SigmoidTransform
    SoftmaxTransform SoftplusTransform StackTransform StickBreakingTransform TanhTransform Transform`),
  'torch.utils.data': words(`
    BatchSampler ConcatDataset DataLoader RandomSampler SequentialSampler Subset SubsetRandomSampler TensorDataset WeightedRandomSampler default_collate random_split`),
  'torch.utils.checkpoint': words('checkpoint checkpoint_sequential'),
};
